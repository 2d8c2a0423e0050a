package exit

import (
	"errors"
	"fmt"
	"testing"
)

func TestOf(t *testing.T) {
	other := errors.New("disk on fire")
	for _, tt := range []struct {
		err  error
		want Status
	}{
		{nil, OK},
		{other, TempFail},
		{With(NoUser, other), NoUser},
		{fmt.Errorf("user x: %w", With(Usage, other)), Usage},
		{With(CantCreate, other), CantCreate},
		{With(OK, other), TempFail}, // an error is never a success
	} {
		if got := Of(tt.err); got != tt.want {
			t.Errorf("Of(%v) = %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestWorst(t *testing.T) {
	for _, tt := range []struct{ a, b, want Status }{
		{OK, OK, OK},
		{OK, NoUser, NoUser},
		{NoUser, TempFail, TempFail},
		{TempFail, OK, TempFail},
		{CantCreate, NoUser, CantCreate},
	} {
		if got := Worst(tt.a, tt.b); got != tt.want {
			t.Errorf("Worst(%d, %d) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := Worst(tt.b, tt.a); got != tt.want {
			t.Errorf("Worst(%d, %d) = %d, want %d", tt.b, tt.a, got, tt.want)
		}
	}
}
