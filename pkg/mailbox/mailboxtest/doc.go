// Package mailboxtest is the contract of package mailbox as a test: Run is one
// suite that every driver passes, Memory is a driver that keeps mailboxes as
// values and shows what the suite means.
//
// A driver's test is one call:
//
//	func TestContract(t *testing.T) {
//		mailboxtest.Run(t, mailboxtest.Harness{
//			New: func(t *testing.T) (mailbox.Driver, *mailbox.Env) {
//				env := mailboxtest.NewEnv(t)
//				return mbx.New(env, nil), env
//			},
//			Foreign: "junk\n", Exact: true, Zone: true, MaxKeywords: 30, Shared: true, Busy: true,
//		})
//	}
//
// Only tests may import this package.
package mailboxtest
