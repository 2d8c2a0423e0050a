// Package numbered is a directory that holds a message in each file whose name
// is a number, as the mx, mh and news formats have it.
//
// A Format is what tells mx and mh apart: the file beside the messages that
// says what is known of them, and its lock. Sessions, deliveries and changes are
// the same.
//
// A Survey is a look at every octet, which a deep check and a repair share; a
// Mending is what a repair does about it.
//
// # Work files
//
// What is on its way into such a directory, or out of it, has a hidden name
// there:
//
//	.mailutil-TAG.N    message N of the change TAG
//	.mailutil-plan     what is to be done with those of one change
//
// A change of several messages is all or nothing, though each is a file of its
// own: the plan says what to do, and is put in place, whole and durable, before
// the first message moves. Who holds the lock of the mailbox next and finds a
// plan carries it out:
//
//	add TAG BASE FROM  message N goes to the number BASE+N; those below FROM
//	                   have gone, and notes follow for the format
//	undo TAG           message N goes back to the number N: an expunge that
//	                   was interrupted before it was decided
//	remove TAG         the messages are removed: one that was decided
//
// A power cut before a plan leaves hidden files that no program takes for mail;
// they go when they are 36 hours old. Programs that know nothing of plans see,
// between a power cut and the next of us, some messages of a delivery and not
// the others, and none of an expunge; no message is lost or torn.
//
// A plan is never in the way of a number that somebody else has taken
// meanwhile: the message gets the next one that is free.
package numbered
