package kubectl

import (
	"context"
	"errors"
	"io"
	"regexp"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/example/sequential-job-operator/pkg/kubectl/follow"
)

// maxSilence is how long a stream may be silent that has everything to bring already.
const maxSilence = 10 * time.Second

var (
	errStalled       = errors.New("the node brings nothing more of it, and does not end it either")
	errUnknownToNode = errors.New("its node does not know it")
)

// copy shows what one stream brings. It returns what broke the stream, and what keeps logs from being shown at all.
func (l *logReader) copy(ctx context.Context, stream follow.Stream, request follow.Request, filter *follow.Filter) (broke, fatal error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	body, err := l.source.Open(ctx, request)
	if err != nil {
		return err, nil
	}
	defer body.Close()
	chunks, ended := make(chan []byte), make(chan error, 1)
	go func() { ended <- readChunks(ctx, body, chunks) }()
	watchdog := time.NewTicker(l.stallAfter)
	defer watchdog.Stop()
	for isSilent := false; ; {
		select {
		case chunk := <-chunks:
			isSilent = false
			if _, err := filter.Write(chunk); err != nil {
				return nil, err
			}
			if err := l.screen.flush(); err != nil {
				return nil, err
			}
		case err := <-ended:
			return err, nil
		case <-watchdog.C:
			// A node that is cut off neither brings anything nor ends the stream. Only what follows a running container may be silent.
			if isSilent && (!request.Follow || !l.isRunning(stream)) {
				stop(errStalled)
			}
			isSilent = true
		}
	}
}

var requested = regexp.MustCompile(`\b(Get|get) "https?:[^"]*": `)

// plainly says why a log could not be read without what was asked for, which is long and says nothing to the user.
func plainly(err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err) && isUnknownResource(err):
		return errUnknownToNode
	}
	return errors.New(requested.ReplaceAllString(err.Error(), ""))
}

func (l *logReader) isRunning(stream follow.Stream) bool {
	s, err := l.source.Snapshot()
	return err == nil && follow.StandOf(s.Pods, stream.Key) == follow.Running
}

// readChunks passes on what a stream brings, until it ends or the context does. It returns nil if the stream came to an end.
func readChunks(ctx context.Context, body io.Reader, chunks chan<- []byte) error {
	const size = 64 << 10
	for {
		chunk := make([]byte, size)
		n, err := body.Read(chunk)
		if n > 0 {
			select {
			case chunks <- chunk[:n]:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
