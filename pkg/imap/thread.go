package imap

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"

	"mailutil/pkg/rfc822"
)

// A node is a message in a thread, or one that others only speak of: then it
// has no message.
type node struct {
	message  *ordered
	parent   *node
	children []*node
}

// first is the message by which a thread is sorted: its own, or that of its
// first child. Children are sorted before.
func (n *node) first() *ordered {
	if n.message == nil {
		return n.children[0].message
	}
	return n.message
}

// hang puts a node below another.
func (n *node) hang(below *node) {
	n.parent = below
	below.children = append(below.children, n)
}

// take takes a node from where it is.
func (n *node) take() {
	if n.parent != nil {
		n.parent.children = slices.DeleteFunc(n.parent.children, func(c *node) bool { return c == n })
		n.parent = nil
	}
}

// isAbove reports whether n is m, or an ancestor of it.
func (n *node) isAbove(m *node) bool {
	if len(n.children) == 0 {
		return n == m // a long thread that comes in order costs no more for it
	}
	for ; m != nil; m = m.parent {
		if m == n {
			return true
		}
	}
	return false
}

// byDate sorts nodes by when they were sent.
func byDate(nodes []*node) {
	slices.SortFunc(nodes, func(a, b *node) int {
		return cmp.Or(bySent(a.first(), b.first()), cmp.Compare(a.first().seq, b.first().seq))
	})
}

// threadBySubject is ORDEREDSUBJECT, RFC 5256, 3: the messages of a subject are
// children of the first.
func threadBySubject(all []*ordered) (threads []*node) {
	sortBy(all, sortKey{name: "SUBJECT"}, sortKey{name: "DATE"})
	for i, m := range all {
		n := &node{message: m}
		if i > 0 && all[i].subject == all[i-1].subject {
			n.hang(threads[len(threads)-1])
		} else {
			threads = append(threads, n)
		}
	}
	byDate(threads)
	return threads
}

// A threader makes threads by REFERENCES, RFC 5256, 3, of the messages that are
// added to it in the order of their numbers.
type threader struct {
	byID  map[string]*node
	nodes []*node // in the order in which they were met
}

// threads are steps 2 to 6.
func (t *threader) threads() []*node {
	var roots []*node
	for _, n := range t.nodes {
		if n.parent == nil {
			roots = append(roots, n)
		}
	}
	roots = prune(roots)
	sortThreads(roots)
	roots = joinSubjects(roots)
	sortThreads(roots)
	return roots
}

// sortThreads sorts threads, and what is in them first.
func sortThreads(nodes []*node) {
	for _, n := range nodes {
		sortThreads(n.children)
	}
	byDate(nodes)
}

// meet returns the node of an ID; "" is that of nobody else.
func (t *threader) meet(id string) *node {
	n := t.byID[id]
	if n == nil {
		n = &node{}
		t.nodes = append(t.nodes, n)
		if id != "" {
			t.byID[id] = n
		}
	}
	return n
}

// add is step 1: it hangs a message below the last one that it refers to.
func (t *threader) add(m *ordered, head []byte) {
	id, references := relations(head)
	n := t.meet(id)
	if n.message != nil { // an ID that another has: this one has none
		n = t.meet("")
	}
	n.message = m
	var last *node
	for _, id := range references {
		r := t.meet(id)
		if last != nil && r.parent == nil && !r.isAbove(last) {
			r.hang(last)
		}
		last = r
	}
	n.take() // what others said of it does not count
	if last != nil && !n.isAbove(last) {
		n.hang(last)
	}
}

// prune is step 3: nodes without a message go, and their children take their
// place, unless several would become threads of their own.
func prune(roots []*node) (out []*node) {
	for _, r := range roots {
		r.pruneChildren()
		switch {
		case r.message != nil || len(r.children) > 1:
			out = append(out, r)
		case len(r.children) == 1:
			r.children[0].parent = nil
			out = append(out, r.children[0])
		}
	}
	return out
}

func (n *node) pruneChildren() {
	var kept []*node
	for _, c := range n.children {
		c.pruneChildren()
		if c.message != nil {
			kept = append(kept, c)
			continue
		}
		for _, g := range c.children {
			g.parent = n
			kept = append(kept, g)
		}
	}
	n.children = kept
}

// joinSubjects is step 5: threads of the same subject become one.
func joinSubjects(roots []*node) (out []*node) {
	table := map[string]*node{}
	for _, r := range roots { // 5 B
		subject := r.first().subject
		old := table[subject]
		if subject != "" && (old == nil || r.message == nil && old.message != nil ||
			old.message != nil && old.message.marked && r.message != nil && !r.message.marked) {
			table[subject] = r
		}
	}
	for _, r := range roots { // 5 C
		t := table[r.first().subject]
		if t == nil || t == r {
			out = append(out, r)
			continue
		}
		switch {
		case t.message == nil && r.message == nil:
			for _, c := range r.children {
				c.hang(t)
			}
		case t.message == nil || r.message != nil && r.message.marked && !t.message.marked:
			r.hang(t)
		default: // a new node above both, in the place of the one in the table
			twin := *t
			for _, c := range twin.children {
				c.parent = &twin
			}
			*t = node{}
			twin.hang(t)
			r.hang(t)
		}
	}
	return out
}

// appendThreads writes threads as a THREAD response has them, RFC 5256, 4.
func appendThreads(b []byte, threads []*node) []byte {
	for _, t := range threads {
		b = append(t.append(append(b, '(')), ')')
	}
	return b
}

// append writes a node and what is below it. One child follows its parent,
// several are branches.
func (n *node) append(b []byte) []byte {
	for {
		if n.message != nil {
			b = strconv.AppendUint(b, uint64(n.message.number), 10)
		}
		if len(n.children) == 0 {
			return b
		}
		if n.message != nil {
			b = append(b, ' ')
		}
		if len(n.children) > 1 {
			return appendThreads(b, n.children)
		}
		n = n.children[0]
	}
}

// maxID is how long a Message-ID may be that counts, and maxReferences how many
// of a message do.
const (
	maxID         = 998
	maxReferences = 100
)

// relations finds the ID of a message, "" where it has no good one, and those
// of the messages that it answers, oldest first.
func relations(head []byte) (id string, references []string) {
	if ids := messageIDs(head, "Message-ID"); len(ids) > 0 {
		id = ids[0]
	}
	references = messageIDs(head, "References")
	if len(references) == 0 {
		references = messageIDs(head, "In-Reply-To")
		references = references[:min(len(references), 1)]
	}
	return id, references[max(len(references)-maxReferences, 0):]
}

// messageIDs reads all <...@...> in a field. Quotes in them, which mean
// nothing, are left out.
func messageIDs(head []byte, name string) (out []string) {
	raw, _ := rfc822.Header(head, name)
	for rest := raw; ; {
		open := bytes.IndexByte(rest, '<')
		if open < 0 {
			return out
		}
		rest = rest[open+1:]
		end := bytes.IndexAny(rest, "<>")
		if end < 0 {
			return out
		}
		id := rest[:end]
		if rest[end] == '<' { // the first was none
			rest = rest[end:]
			continue
		}
		rest = rest[end+1:]
		if len(id) <= maxID && bytes.IndexByte(id, '@') > 0 {
			out = append(out, string(bytes.ReplaceAll(bytes.Join(bytes.Fields(id), nil), []byte(`"`), nil)))
		}
	}
}
