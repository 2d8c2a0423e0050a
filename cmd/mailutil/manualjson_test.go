package main

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// records are the sections of mailutil-json(5) and what they describe.
var records = map[string]record{
	"error":                             errorRecord{},
	"lock of lock status":               lockRecord{},
	"summary of check":                  statusSummary{},
	"summary of create, delete, rename": doneSummary{},
	"summary of prune":                  pruneSummary{},
	"summary of copy, move, append, appenddelete": copySummary{},
	"step of repair":                       stepRecord{},
	"summary of repair":                    repairSummary{},
	"summary of transfer, split":           transferSummary{},
	"summary of convert":                   convertSummary{},
	"summary of convert for all mailboxes": convertTotal{},
	"message of dedup":                     duplicateRecord{},
	"summary of dedup":                     dedupSummary{},
	"message of --report":                  reportRecord{},
	"session of serve":                     sessionRecord{},
}

// The page has each field that the encoder writes, in its order, and no others.
func TestManualJSON(t *testing.T) {
	b, err := os.ReadFile("../../man/mailutil-json.5")
	if err != nil {
		t.Fatal(err)
	}
	page, section := map[string][]string{}, ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if s, ok := strings.CutPrefix(line, ".Ss "); ok {
			section = s
		}
		if f, ok := strings.CutPrefix(line, ".It Va "); ok {
			page[section] = append(page[section], f)
		}
	}
	program := map[string][]string{}
	for section, r := range records {
		program[section] = emitted(t, r)
	}
	if d := cmp.Diff(page, program); d != "" {
		t.Errorf("page -, program +\n%s", d)
	}
	for _, e := range errorCodes {
		if !bytes.Contains(b, []byte(e.code+",")) {
			t.Errorf("the page has no code %s", e.code)
		}
	}
}

// emitted are the fields that the encoder writes of a record without zeros.
func emitted(t *testing.T, r record) []string {
	t.Helper()
	v := reflect.New(reflect.TypeOf(r)).Elem()
	fill(v)
	var line bytes.Buffer
	if err := encode(&line, v.Interface().(record)); err != nil {
		t.Fatal(err)
	}
	names := keys(t, json.NewDecoder(&line), "")
	if names[0] != "type" {
		t.Errorf("%T begins with %s", r, names[0])
	}
	return slices.DeleteFunc(names, func(n string) bool { return n == "type" })
}

// fill makes all fields of v something else than zero.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	default:
		panic(v.Kind())
	}
}

// keys reads an object and returns its names in order, those within it behind
// the name and a dot.
func keys(t *testing.T, d *json.Decoder, prefix string) (names []string) {
	t.Helper()
	if prefix == "" {
		token(t, d) // {
	}
	for d.More() {
		name := prefix + token(t, d).(string)
		names = append(names, name)
		switch token(t, d) {
		case json.Delim('{'):
			names = append(names, keys(t, d, name+".")...)
		case json.Delim('['):
			for d.More() {
				token(t, d)
			}
			token(t, d)
		}
	}
	token(t, d) // }
	return names
}

func token(t *testing.T, d *json.Decoder) json.Token {
	t.Helper()
	tok, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	return tok
}
