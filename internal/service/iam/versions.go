package iam

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/wire"
	wireiam "github.com/latchwork/latchwork/internal/wire/iam"
)

// versionOf is a version as lists show it: without its document.
// Source: IAM API Reference, PolicyVersion, Document.
func versionOf(p *model.ManagedPolicy, v *model.PolicyVersion) wireiam.PolicyVersion {
	return wireiam.PolicyVersion{VersionId: &v.ID, IsDefaultVersion: new(v.ID == p.Default), CreateDate: wire.At(v.Created)}
}

func fullVersion(p *model.ManagedPolicy, v *model.PolicyVersion) wireiam.PolicyVersion {
	out := versionOf(p, v)
	out.Document = &v.Document
	return out
}

func findVersion(p *model.ManagedPolicy, id string) (int, bool) {
	i := slices.IndexFunc(p.Versions, func(v model.PolicyVersion) bool { return v.ID == id })
	return i, i >= 0
}

// CreatePolicyVersion adds a version. Numbers are not used again.
// Source: IAM User Guide, "Versioning IAM policies".
func (s *Service) CreatePolicyVersion(ctx context.Context, in *wireiam.CreatePolicyVersionRequest) (*wireiam.CreatePolicyVersionResponse, error) {
	if err := s.checkManaged(*in.PolicyDocument); err != nil {
		return nil, err
	}
	now := s.cfg.Clock()
	var out wireiam.PolicyVersion
	err := s.changePolicy(ctx, in.PolicyArn, func(p *model.ManagedPolicy) error {
		if limit := s.cfg.Quotas.VersionsPerPolicy; len(p.Versions) >= limit {
			return fault.New("LimitExceeded", "A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", limit)
		}
		p.Last++
		v := model.PolicyVersion{ID: fmt.Sprintf("v%d", p.Last), Document: *in.PolicyDocument, Created: now}
		p.Versions = append(p.Versions, v)
		if model.Deref(in.SetAsDefault) {
			p.Default = v.ID
		}
		// A policy's UpdateDate is when its newest version was made.
		// Source: IAM API Reference, Policy, UpdateDate.
		p.Updated = now
		out = versionOf(p, &v)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &wireiam.CreatePolicyVersionResponse{PolicyVersion: &out}, nil
}

// GetPolicyVersion shows a version with its document.
func (s *Service) GetPolicyVersion(ctx context.Context, in *wireiam.GetPolicyVersionRequest) (*wireiam.GetPolicyVersionResponse, error) {
	p, err := s.readPolicy(ctx, in.PolicyArn)
	if err != nil {
		return nil, err
	}
	i, ok := findVersion(p, *in.VersionId)
	if !ok {
		return nil, noVersion(p.ARN, *in.VersionId)
	}
	return &wireiam.GetPolicyVersionResponse{PolicyVersion: new(fullVersion(p, &p.Versions[i]))}, nil
}

// ListPolicyVersions lists the versions, newest first.
func (s *Service) ListPolicyVersions(ctx context.Context, in *wireiam.ListPolicyVersionsRequest) (*wireiam.ListPolicyVersionsResponse, error) {
	p, revision, err := s.listedPolicy(ctx, in.PolicyArn)
	if err != nil {
		return nil, err
	}
	newest := slices.Clone(p.Versions)
	slices.Reverse(newest)
	page, next, err := awsapi.Page(ctx, newest, revision, func(v model.PolicyVersion) string { return descending(v.ID) })
	if err != nil {
		return nil, err
	}
	out := make([]wireiam.PolicyVersion, len(page))
	for i := range page {
		out[i] = versionOf(p, &page[i])
	}
	return &wireiam.ListPolicyVersionsResponse{Versions: out, Marker: next, IsTruncated: new(next != nil)}, nil
}

// descending is a key that sorts version ids by falling number.
func descending(id string) string {
	n, err := strconv.ParseUint(id[min(len(id), 1):], 10, 32)
	if err != nil {
		return id
	}
	return fmt.Sprintf("%010d", 1<<32-n)
}

// SetDefaultPolicyVersion puts a version into force.
func (s *Service) SetDefaultPolicyVersion(ctx context.Context, in *wireiam.SetDefaultPolicyVersionRequest) (*wireiam.SetDefaultPolicyVersionResponse, error) {
	return &wireiam.SetDefaultPolicyVersionResponse{}, s.changePolicy(ctx, in.PolicyArn, func(p *model.ManagedPolicy) error {
		if _, ok := findVersion(p, *in.VersionId); !ok {
			return noVersion(p.ARN, *in.VersionId)
		}
		p.Default = *in.VersionId
		return nil
	})
}

// DeletePolicyVersion removes a version that is not in force.
func (s *Service) DeletePolicyVersion(ctx context.Context, in *wireiam.DeletePolicyVersionRequest) (*wireiam.DeletePolicyVersionResponse, error) {
	return &wireiam.DeletePolicyVersionResponse{}, s.changePolicy(ctx, in.PolicyArn, func(p *model.ManagedPolicy) error {
		i, ok := findVersion(p, *in.VersionId)
		if !ok {
			return noVersion(p.ARN, *in.VersionId)
		}
		if p.Default == *in.VersionId {
			return conflict("Cannot delete the default version of a policy.")
		}
		p.Versions = slices.Delete(p.Versions, i, i+1)
		return nil
	})
}
