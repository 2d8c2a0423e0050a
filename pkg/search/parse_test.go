package search

import (
	"strings"
	"testing"
	"time"

	"mailutil/pkg/mailbox"
)

var now = time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC)

func TestParseErrors(t *testing.T) {
	for in, word := range map[string]string{
		"not":                     "NOT",
		"subject second thing":    "THING",
		"keyword":                 "KEYWORD",
		"since yesterday":         "SINCE",
		"larger":                  "LARGER",
		"larger x":                "LARGER",
		"larger 1x":               "LARGER",
		"larger k":                "LARGER",
		"larger 0":                "LARGER",
		"smaller 00":              "SMALLER",
		"subject  two blanks":     "SUBJECT",
		"larger -1":               "LARGER",
		"larger 99999999999999g":  "LARGER",
		`from "joe`:               "FROM",
		`from ""`:                 "FROM",
		`from {3}` + "\r\nab":     "FROM",
		`from {2}` + "\r\nabc":    "FROM",
		`from {x}` + "\r\nabc":    "FROM",
		`from {3}abc`:             "FROM",
		"before 1-Feb-1960":       "BEFORE",
		"before":                  "BEFORE",
		"seen extra":              "EXTRA",
		"seen\tdraft":             "SEEN\tDRAFT",
		"1:2:3":                   "1:2:3",
		"0":                       "0",
		"1,,2":                    "1,,2",
		"4294967296":              "4294967296",
		"uid":                     "UID",
		"uid x":                   "UID",
		"or seen":                 "OR",
		"or":                      "OR",
		"(or seen)":               "OR",
		"not nosuch":              "NOSUCH",
		"or seen nosuch":          "NOSUCH",
		"(":                       "(",
		"()":                      "(",
		"(seen":                   "(",
		"(seen from":              "FROM",
		"seen)":                   "SEEN)",
		"seen )":                  ")",
		"(seen)x":                 ")X",
		"header subject":          "HEADER",
		"header":                  "HEADER",
		"older 0":                 "OLDER",
		"younger 3y":              "YOUNGER",
		"\u017Feen":               "\u017FEEN",
		strings.Repeat("x", 40):   strings.Repeat("X", 30),
		strings.Repeat("(", 2000): "(",
		"a\xff":                   "A\xff",
		"caf\u00e9":               "CAF\u00e9",
	} {
		_, err := Parse(in, now)
		if want := "Unknown search criterion: " + word; in != strings.Repeat("(", 2000) && (err == nil || err.Error() != want) || err == nil {
			t.Errorf("Parse(%q)\n got %v\nwant %s", in, err, want)
		}
	}
}

func TestParseEmpty(t *testing.T) {
	for in, want := range map[string]bool{"": true, "  ": true, "all": false, "seen": false} {
		c, err := Parse(in, now)
		if err != nil || c.Empty() != want {
			t.Errorf("Parse(%q): Empty is %v, %v; want %v", in, c.Empty(), err, want)
		}
		if ok, err := NewMatcher(c, mailbox.Status{}).Match(mailbox.Message{Flags: mailbox.Flags{System: mailbox.Seen}}, nil); err != nil || !ok {
			t.Errorf("%q: got %v, %v", in, ok, err)
		}
	}
}

// matchIndex matches a message of which only the index is known.
func matchIndex(t *testing.T, criteria string, st mailbox.Status, msg mailbox.Message) bool {
	t.Helper()
	c, err := Parse(criteria, now)
	if err != nil {
		t.Fatalf("Parse(%q): %v", criteria, err)
	}
	ok, err := NewMatcher(c, st).Match(msg, func() (mailbox.Content, error) {
		t.Fatalf("%q: opened", criteria)
		return nil, nil
	})
	if err != nil {
		t.Fatalf("%q: %v", criteria, err)
	}
	return ok
}

func TestFlags(t *testing.T) {
	for in, want := range map[string][2]bool{ // with no flags, with all
		"all": {true, true}, "answered": {false, true}, "deleted": {false, true}, "draft": {false, true},
		"flagged": {false, true}, "new": {false, false}, "old": {true, false}, "recent": {false, true}, "seen": {false, true},
		"unanswered": {true, false}, "undeleted": {true, false}, "undraft": {true, false}, "unflagged": {true, false},
		"UnSeen": {true, false}, " seen  draft ": {false, true}, "seen unseen": {false, false},
		"not seen": {true, false}, "not not seen": {false, true}, "or seen unseen": {true, true}, "or draft seen": {false, true},
		"(seen)": {false, true}, "not (seen draft)": {true, false}, "or (seen draft) (not draft)": {true, true},
		"((seen)(draft))": {false, true}, "( seen )": {false, true},
	} {
		none, every := mailbox.Message{}, mailbox.Message{Flags: mailbox.Flags{System: 0x3F}}
		got := [2]bool{matchIndex(t, in, mailbox.Status{}, none), matchIndex(t, in, mailbox.Status{}, every)}
		if got != want {
			t.Errorf("%q\n got %v\nwant %v", in, got, want)
		}
	}
	if !matchIndex(t, "new", mailbox.Status{}, mailbox.Message{Flags: mailbox.Flags{System: mailbox.Recent}}) {
		t.Error("new: a recent message that is not seen does not match")
	}
}

func TestIndexTerms(t *testing.T) {
	st := mailbox.Status{Messages: 9, Keywords: []string{"$Work", "Later", "LATER"}}
	msg := mailbox.Message{
		Seq: 5, UID: 100, Size: 2048, Flags: mailbox.Flags{Keywords: 0b101},
		Date: mailbox.Date{Year: 2024, Month: 2, Day: 29, Hour: 23, Minute: 30, Zone: -11 * 60}, // 1-Mar 10:30 UTC
	}
	for in, want := range map[string]bool{
		"keyword $work": true, "keyword later": true, "keyword $wor": false, "keyword nosuch": false,
		"unkeyword $Work": false, "unkeyword nosuch": true, `keyword "$Work"`: true, "keyword {5}\r\n$Work": true,
		"larger 2047": true, "larger 2048": false, "smaller 2049": true, "smaller 2048": false,
		"larger 1k": true, "larger 2K": false, "smaller 1m": true, "smaller 1G": true, "larger 1": true,
		"larger 1 larger 9999": false, "larger 9999 larger 1": true, "(larger 9999 larger 1)": false,
		"on 29-feb-2024": true, "on 29-Feb-24": true, "on 2024-02-29": true, "on 2/29/24": true, "on 1-Mar-2024": false,
		`on "29 Feb 2024"`: true, `on "Thu, 29 Feb 2024 10:00:00 +0100"`: true, "on 20240229": true,
		"before 29-Feb-2024": false, "before 1-Mar-2024": true, "since 29-Feb-2024": true, "since 1-Mar-2024": false,
		"before 1-Mar-2024 since 1-Feb-2024": true, "on 1-Jan-2000 on 29-Feb-2024": true,
		"5": true, "4": false, "1:4,6": false, "4:6": true, "6:4": true, "*": false, "5:*": true, "*:5": true, "6:*": false, "1,5": true,
		"uid 100": true, "uid 5": false, "uid 1:*": true, "uid 101:*": false, `uid "99,100"`: true,
		"older 1h": true, "older 2h": false, "younger 2h": true, "younger 1h": false, "older 5400": true, "younger 5400s": true,
		"older 90m": true, "older 91m": false, "younger 1d": true, "younger 1w": true, "older 1W": false,
		"not on 29-Feb-2024": false, "or 4 uid 100": true,
	} {
		if got := matchIndex(t, in, st, msg); got != want {
			t.Errorf("%q\n got %v\nwant %v", in, got, want)
		}
	}
	msg.Seq = 9
	for in, want := range map[string]bool{"*": true, "20:*": true, "uid *": true, "uid 1000:*": true, "uid 1000": false, "1:8": false} {
		if got := matchIndex(t, in, st, msg); got != want {
			t.Errorf("%q of the last message\n got %v\nwant %v", in, got, want)
		}
	}
	for _, in := range []string{"before 1-Jan-2050", "since 1-Jan-1970", "older 1", "younger 4000w"} {
		if matchIndex(t, in, st, mailbox.Message{}) {
			t.Errorf("%q: a message without a date matches", in)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"all", "not (or seen from joe)", `subject "second thing"`, "from {3}\r\nabc seen", "1:*,4", "uid 3", "larger 3k older 2w",
		"header x-y \"\"", "on 2-Feb-2024", "text caf\u00e9", "((seen)draft)", "keyword $Work",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		c, err := Parse(in, now)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "Unknown search criterion: ") || len(err.Error()) > 26+30 {
				t.Errorf("Parse(%q): %v", in, err)
			}
			return
		}
		m := NewMatcher(c, mailbox.Status{Messages: 3})
		got, err := m.Match(mailbox.Message{Seq: 1}, open("Subject: x\r\n\r\ntext\r\n"))
		if err != nil {
			t.Fatalf("%q: %v", in, err)
		}
		c, err = Parse("not ("+in+")", now)
		if err != nil || strings.Trim(in, " ") == "" {
			return // ")" ends other words in parentheses
		}
		opposite, err := NewMatcher(c, mailbox.Status{Messages: 3}).Match(mailbox.Message{Seq: 1}, open("Subject: x\r\n\r\ntext\r\n"))
		if err != nil || got == opposite && !strings.ContainsAny(in, "()") && !repeats(in) {
			t.Errorf("%q: got %v, its opposite too, %v", in, got, err)
		}
	})
}

// repeats reports whether in may hold a word twice of which the last counts.
func repeats(in string) bool {
	for word := range lastCounts {
		if strings.Count(upper(in), word) > 1 {
			return true
		}
	}
	return false
}
