package snapshot

import (
	"context"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
)

// Pinned is the snapshot that the dispatcher pinned for the call in hand:
// awsapi.Config.Snapshot must give a *Snapshot. There is an error before the first one
// is published.
func Pinned(ctx context.Context) (*Snapshot, error) {
	snap, _ := awsapi.FromContext(ctx).Snapshot.(*Snapshot)
	if snap == nil {
		return nil, &fault.Error{Code: "ServiceUnavailable", Status: 503, Receiver: true, Message: "the server is starting and has not read its state yet"}
	}
	return snap, nil
}
