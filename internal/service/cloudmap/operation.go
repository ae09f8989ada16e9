package cloudmap

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wirebase "github.com/latchwork/latchwork/internal/wire"
	wire "github.com/latchwork/latchwork/internal/wire/servicediscovery"
)

// done records an operation that the transaction carries out, and gives its id.
func (s *Service) done(tx *store.Tx, scope model.Scope, kind, namespace string, targets map[string]string) (*string, error) {
	now := s.cfg.Clock()
	o := &model.CloudMapOperation{
		ID: operationID(now), Type: kind, Namespace: namespace, Targets: targets, Created: now, Expires: now.Add(s.cfg.OperationLife),
	}
	return &o.ID, model.CloudMapOperations.Put(tx, scope.Key(o.ID), o)
}

// GetOperation implements servicediscovery:GetOperation.
func (s *Service) GetOperation(ctx context.Context, in *wire.GetOperationRequest) (*wire.GetOperationResponse, error) {
	var o *model.CloudMapOperation
	scope := s.scope(ctx)
	err := s.cfg.View(ctx, func(tx *store.Tx) (err error) {
		o, err = model.CloudMapOperations.Get(tx, scope.Key(*in.OperationId))
		return err
	})
	if err != nil {
		return nil, err
	}
	if o == nil || in.OwnerAccount != nil && *in.OwnerAccount != scope.Account {
		return nil, fault.New("OperationNotFound", "Operation not found: %s", *in.OperationId)
	}
	return &wire.GetOperationResponse{Operation: &wire.Operation{
		Id: &o.ID, Type: &o.Type, Status: new(wire.OperationStatusSuccess), Targets: o.Targets, OwnerAccount: &scope.Account,
		CreateDate: wirebase.Epoch(o.Created), UpdateDate: wirebase.Epoch(o.Created),
	}}, nil
}

// ListOperations implements servicediscovery:ListOperations.
func (s *Service) ListOperations(ctx context.Context, in *wire.ListOperationsRequest) (*wire.ListOperationsResponse, error) {
	var tests []func(*model.CloudMapOperation) bool
	for _, f := range in.Filters {
		test, err := operationFilter(f)
		if err != nil {
			return nil, err
		}
		tests = append(tests, test)
	}
	operations, next, err := list(ctx, s, func(tx *store.Tx) ([]*model.CloudMapOperation, error) {
		return all(tx, model.CloudMapOperations, s.scope(ctx), func(o *model.CloudMapOperation) bool { return every(tests, o) })
	}, func(o *model.CloudMapOperation) (time.Time, string) { return o.Created, o.ID },
		func(o *model.CloudMapOperation) wire.OperationSummary {
			return wire.OperationSummary{Id: &o.ID, Status: new(wire.OperationStatusSuccess)}
		})
	if err != nil {
		return nil, err
	}
	return &wire.ListOperationsResponse{Operations: operations, NextToken: next}, nil
}

func every[T any](tests []func(T) bool, v T) bool {
	for _, test := range tests {
		if !test(v) {
			return false
		}
	}
	return true
}

// operationFilter is the test that a filter stands for.
// Source: Cloud Map API Reference, OperationFilter.
func operationFilter(f wire.OperationFilter) (func(*model.CloudMapOperation) bool, error) {
	name := *f.Name
	conditions := map[string][]string{
		wire.OperationFilterNameNamespaceId: {wire.FilterConditionEq},
		wire.OperationFilterNameServiceId:   {wire.FilterConditionEq},
		wire.OperationFilterNameStatus:      {wire.FilterConditionEq, wire.FilterConditionIn},
		wire.OperationFilterNameType:        {wire.FilterConditionEq, wire.FilterConditionIn},
		wire.OperationFilterNameUpdateDate:  {wire.FilterConditionBetween},
	}
	if err := checkFilter(name, f.Condition, f.Values, conditions[name]...); err != nil {
		return nil, err
	}
	switch name {
	case wire.OperationFilterNameNamespaceId:
		return func(o *model.CloudMapOperation) bool { return o.Namespace == f.Values[0] }, nil
	case wire.OperationFilterNameServiceId:
		return func(o *model.CloudMapOperation) bool {
			return o.Targets[wire.OperationTargetTypeService] == f.Values[0]
		}, nil
	case wire.OperationFilterNameStatus:
		// The documentation of filters has SUCCEED for SUCCESS.
		return func(*model.CloudMapOperation) bool {
			return selects(nil, f.Values, wire.OperationStatusSuccess, "SUCCEED")
		}, nil
	case wire.OperationFilterNameType:
		return func(o *model.CloudMapOperation) bool { return selects(nil, f.Values, o.Type) }, nil
	}
	var bounds [2]float64
	for i, text := range f.Values {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(seconds) {
			return nil, invalid("Filters", "UPDATE_DATE is between two times in seconds since 1970, not %q", text)
		}
		bounds[i] = seconds
	}
	return func(o *model.CloudMapOperation) bool {
		at := float64(o.Created.UnixMilli()) / 1000
		return bounds[0] <= at && at <= bounds[1]
	}, nil
}
