package iam

import (
	"crypto/sha256"
	"encoding/base32"
	"time"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// ManagedInfo is one of AWS's own managed policies.
type ManagedInfo struct {
	ARN         string
	Name        string
	Path        string
	Description string
	Document    string
	// ID, Version, Created and Updated may be left out.
	ID      string
	Version string
	Created time.Time
	Updated time.Time
}

// firstManaged is when AWS made its first managed policies: the date of those
// that bring none.
var firstManaged = time.Date(2015, 2, 6, 18, 39, 46, 0, time.UTC)

// enforcedManaged are the policies that snapshots enforce: what can be attached
// is what is decided by.
func enforcedManaged() []ManagedInfo {
	var out []ManagedInfo
	for _, p := range snapshot.AWSManaged() {
		out = append(out, ManagedInfo{ARN: p.ARN, Name: p.Name, Path: p.Path, Document: p.Document})
	}
	return out
}

// record gives the policy the form of a customer's one.
func (i *ManagedInfo) record() *model.ManagedPolicy {
	id, version, created, updated := i.ID, i.Version, i.Created, i.Updated
	if id == "" {
		// The same in every process and for ever.
		sum := sha256.Sum256([]byte(i.ARN))
		id = policies.prefix + base32.StdEncoding.EncodeToString(sum[:])[:17]
	}
	if version == "" {
		version = "v1"
	}
	if created.IsZero() {
		created = firstManaged
	}
	if updated.Before(created) {
		updated = created
	}
	return &model.ManagedPolicy{
		Meta:        model.Meta{ID: id, ARN: i.ARN, Name: i.Name, Account: "aws", Created: created, Updated: updated},
		Path:        i.Path,
		Description: i.Description,
		Versions:    []model.PolicyVersion{{ID: version, Document: i.Document, Created: updated}},
		Default:     version,
	}
}
