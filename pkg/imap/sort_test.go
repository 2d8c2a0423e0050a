package imap

import (
	"fmt"
	"strings"
	"testing"
)

// RFC 5256, 2.1 and the examples that clients live on.
func TestBaseSubject(t *testing.T) {
	for _, tt := range []struct {
		in, want string
		marked   bool
	}{
		{"Hello", "HELLO", false},
		{"Re: Hello", "HELLO", true},
		{"RE : re[2]: Fwd: Hello", "HELLO", true},
		{"[list] Hello", "HELLO", false},
		{"[list] Re: [list] Hello (fwd)", "HELLO", true},
		{"Re: [list]", "[LIST]", true},
		{"[list]", "[LIST]", false},
		{"[a] [b] Hello", "HELLO", false},
		{"[Fwd: Re: Hello]", "HELLO", true},
		{"Hello (FWD) (fwd) ", "HELLO", true},
		{"fw: [x] y", "Y", true},
		{"Regarding: x", "REGARDING: X", false},
		{"Re", "RE", false},
		{"[unclosed Re: x", "[UNCLOSED RE: X", false},
		{"[a[b] Re: x", "[A[B] RE: X", false},
		{"=?utf-8?q?Re=3A_K=C3=B6ln?=", "KO\u0308LN", true},
		{"  a\tb  \r\n\t c", "A B C", false},
		{"", "", false},
		{"Re:", "", true},
		{"[fwd:]", "", true},
	} {
		got, marked := baseSubject([]byte(tt.in))
		if got != tt.want || marked != tt.marked {
			t.Errorf("%q\n got %q, %v\nwant %q, %v", tt.in, got, marked, tt.want, tt.marked)
		}
	}
}

// thread makes threads of messages "subject|ID|references", sent one after the
// other.
func thread(how string, texts []string) string {
	var all []*ordered
	byReferences := threader{byID: map[string]*node{}}
	for i, text := range texts {
		f := strings.Split(text, "|")
		head := fmt.Sprintf("Subject: %s\r\nMessage-ID: %s\r\nReferences: %s\r\nDate: %d Jan 2024 10:00:00 +0000\r\n\r\n", f[0], f[1], f[2], i+1)
		o := &ordered{number: uint32(i + 1), seq: uint32(i + 1)}
		o.read([]byte(head))
		all = append(all, o)
		byReferences.add(o, []byte(head))
	}
	if how == "ORDEREDSUBJECT" {
		return string(appendThreads(nil, threadBySubject(all)))
	}
	return string(appendThreads(nil, byReferences.threads()))
}

func TestThreads(t *testing.T) {
	for _, tt := range []struct{ name, bySubject, byReferences, texts string }{
		{"one", "(1)", "(1)", "x|<1@h>|"},
		{"in order", "(1 (2)(3))", "(1 2 3)", "x|<1@h>| Re: x|<2@h>|<1@h> Re: x|<3@h>|<1@h><2@h>"},
		{"branches", "(1 (2)(3))", "(1 (2)(3))", "x|<1@h>| Re: x|<2@h>|<1@h> Re: x|<3@h>|<1@h>"},
		{"child first", "(1 2)", "(2 1)", "Re: x|<2@h>|<1@h> x|<1@h>|"},
		{"missing root", "(1 2)", "((1)(2))", "Re: x|<2@h>|<1@h> Re: x|<3@h>|<1@h>"},
		{"missing middle", "(1 2)", "(1 2)", "x|<1@h>| Re: x|<3@h>|<1@h><2@h>"},
		{"by subject alone", "(1 2)(3)", "(1 2)(3)", "x|<1@h>| Re: x|<2@h>| y|<3@h>|"},
		{"two starts", "(1 2)", "((1)(2))", "x|<1@h>| x|<2@h>|"},
		{"reply before", "(1 2)", "(2 1)", "Re: x|<2@h>| x|<1@h>|"},
		{"loop", "(1)(2)", "(2 1)", "a|<1@h>|<2@h> b|<2@h>|<1@h>"},
		{"itself", "(1)", "(1)", "a|<1@h>|<1@h><1@h>"},
		{"the same ID twice", "(1)(2)(3)", "(1 3)(2)", "a|<1@h>| b|<1@h>| c|<3@h>|<1@h>"},
		{"no IDs", "(1)(2)", "(1)(2)", "a|| b|<nothing>|<x"},
		{"empty subjects", "(1 2)", "(1)(2)", "|<1@h>| |<2@h>|"},
		{"quoted ID", "(1)(2)", "(1 2)", "a|<\"1\"@h>| b|<2@h>|<1@h>"},
		{"other parent later", "(1)(2)(3)", "(1 3 2)", "a|<1@h>| b|<4@h>|<2@h><3@h> c|<3@h>|<1@h>"},
	} {
		var texts []string
		for _, w := range strings.Split(strings.ReplaceAll(tt.texts, "Re: ", "Re:_"), " ") {
			texts = append(texts, strings.ReplaceAll(w, "_", " "))
		}
		if got := thread("ORDEREDSUBJECT", texts); got != tt.bySubject {
			t.Errorf("%s, ORDEREDSUBJECT\n got %s\nwant %s", tt.name, got, tt.bySubject)
		}
		if got := thread("REFERENCES", texts); got != tt.byReferences {
			t.Errorf("%s, REFERENCES\n got %s\nwant %s", tt.name, got, tt.byReferences)
		}
	}
}

// Whatever messages refer to, each is in one place of one thread.
func FuzzThreads(f *testing.F) {
	f.Add("x|<1@h>|<2@h>\ny|<2@h>|<1@h>\nRe: x|<3@h>|<2@h><1@h><4@h>")
	f.Add("a|<1@h>|<2@h><3@h><1@h>\n|<3@h>|<1@h>\n[fwd: a]|<2@h>|<9@h>\nRe: a|<5@h>|<9@h><8@h>")
	f.Fuzz(func(t *testing.T, in string) {
		var texts []string
		for _, line := range strings.Split(in, "\n") {
			if strings.Count(line, "|") == 2 && len(texts) < 50 {
				texts = append(texts, line)
			}
		}
		for _, how := range []string{"ORDEREDSUBJECT", "REFERENCES"} {
			out := thread(how, texts)
			numbers := strings.FieldsFunc(out, func(r rune) bool { return r < '0' || r > '9' })
			seen := map[string]bool{}
			for _, n := range numbers {
				seen[n] = true
			}
			if len(numbers) != len(texts) || len(seen) != len(texts) || strings.Count(out, "(") != strings.Count(out, ")") {
				t.Fatalf("%s of %d messages: %s", how, len(texts), out)
			}
		}
	})
}
