package remote

import (
	"errors"
	"slices"
	"testing"

	"mailutil/pkg/internal/sasl"
)

// A wrong password is said twice at most, where the server says that it is
// wrong.
func TestTryAll(t *testing.T) {
	ways := []sasl.Mechanism{{Name: "SCRAM-SHA-256"}, {Name: "CRAM-MD5"}, {Name: "PLAIN", Plain: true}, {Name: "LOGIN", Plain: true}}
	wrong := errors.Join(ErrRefused, ErrWrong)
	for _, tt := range []struct {
		name string
		says map[string]error
		want []string
	}{
		{"wrong", map[string]error{"": wrong}, []string{"SCRAM-SHA-256", "PLAIN"}},
		{"not said why", map[string]error{"": ErrRefused}, []string{"SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN"}},
		{"no secret there", map[string]error{"": wrong, "PLAIN": nil}, []string{"SCRAM-SHA-256", "PLAIN"}},
		{"lost", map[string]error{"": ErrLost}, []string{"SCRAM-SHA-256"}},
	} {
		var tried []string
		err := tryAll(ways, func(m sasl.Mechanism) error {
			tried = append(tried, m.Name)
			if err, ok := tt.says[m.Name]; ok {
				return err
			}
			return tt.says[""]
		})
		if !slices.Equal(tried, tt.want) || errors.Is(err, ErrRefused) != errors.Is(tt.says[""], ErrRefused) && tt.says["PLAIN"] != nil {
			t.Errorf("%s: tried %v, %v; want %v", tt.name, tried, err, tt.want)
		}
	}
}
