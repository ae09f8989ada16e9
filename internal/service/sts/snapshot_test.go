package sts

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/clock"
	"github.com/latchwork/latchwork/internal/credential"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/store/etcd"
)

// What the server puts in.
var (
	_ Tokens = (*credential.Tokens)(nil)
	_ World  = Pinned{}
)

// The World of a real snapshot, made of real records.
func TestPinned(t *testing.T) {
	ctx := t.Context()
	backend, err := etcd.Start(ctx, etcd.Embedded{Dir: t.TempDir(), Prefix: "latchwork/", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close()
	revision, err := store.New(backend).Update(ctx, func(tx *store.Tx) error {
		role := model.Role{
			Meta:  model.Meta{ID: "AROAAPP", ARN: roleARN, Name: "App", Account: account, Tags: map[string]string{"Team": "core"}},
			Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}`, MaxSession: 7200,
		}
		user := model.User{Meta: model.Meta{ID: "AIDAALICE", ARN: userCaller().ARN, Name: "Alice", Account: account}}
		own := model.ManagedPolicy{
			Meta:     model.Meta{ARN: "arn:aws:iam::" + account + ":policy/own", Name: "own", Account: account},
			Versions: []model.PolicyVersion{{ID: "v1", Document: sessionDoc}}, Default: "v1",
		}
		if err := model.Roles.Put(tx, model.IAMKey(account, "App"), &role); err != nil {
			return err
		}
		if err := model.Users.Put(tx, model.IAMKey(account, "Alice"), &user); err != nil {
			return err
		}
		return model.Policies.Put(tx, model.IAMKey(account, "own"), &own)
	})
	if err != nil {
		t.Fatal(err)
	}
	publisher := snapshot.NewPublisher(snapshot.Config{
		Backend: backend, Settings: snapshot.Settings{Partition: "aws"}, Clock: clock.Fixed(now), Log: slog.New(slog.DiscardHandler),
		OpenSecret: func(*model.AccessKey) ([]byte, error) { return nil, nil },
	})
	running, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		publisher.Run(running)
	}()
	defer func() { stop(); <-done }()
	if err := publisher.WaitFor(ctx, revision); err != nil {
		t.Fatal(err)
	}

	var w Pinned
	at := awsapi.NewContext(ctx, &awsapi.Call{Snapshot: publisher.Current()})
	got, ok := w.Role(at, roleARN)
	want := Role{ARN: roleARN, ID: "AROAAPP", Account: account, Name: "App", MaxSession: 2 * time.Hour, Tags: map[string]string{"Team": "core"}}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Error(ok, diff)
	}
	if _, ok := w.Role(at, userCaller().ARN); ok {
		t.Error("a user is taken for a role")
	}
	for arn, want := range map[string]bool{
		"arn:aws:iam::" + account + ":policy/own": true, "arn:aws:iam::aws:policy/AdministratorAccess": true,
		"arn:aws:iam::" + account + ":policy/no": false,
	} {
		if w.HasPolicy(at, arn) != want {
			t.Errorf("%s: want %t", arn, want)
		}
	}
	// Before the first snapshot nothing is there.
	early := awsapi.NewContext(ctx, &awsapi.Call{Snapshot: (*snapshot.Snapshot)(nil)})
	if _, ok := w.Role(early, roleARN); ok || w.HasPolicy(early, "arn:aws:iam::aws:policy/AdministratorAccess") {
		t.Error("something is there before the first snapshot")
	}
}
