package fsx

import (
	"errors"
	"sync"
)

// atWork is how many jobs wait for a worker.
const atWork = 16

// A worker does the jobs of a Together in their order, while who hands them over
// goes on, until told of an error.
type worker struct {
	jobs chan job
	done chan struct{}

	mu  sync.Mutex
	err error
}

func (t *Together) newWorker() *worker {
	w := &worker{jobs: make(chan job, atWork), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for j := range w.jobs {
			if err := t.do(j); err != nil {
				w.mu.Lock()
				w.err = errors.Join(w.err, err)
				w.mu.Unlock()
			}
		}
	}()
	return w
}

func (w *worker) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// take hands a job over. The error is that of a job before.
func (w *worker) take(j job) error {
	w.jobs <- j
	return w.failed()
}

// worked waits until all jobs are done, and ends the worker.
func (t *Together) worked() error {
	w := t.worker
	if w == nil {
		return nil
	}
	t.worker = nil
	close(w.jobs)
	<-w.done
	return w.err
}
