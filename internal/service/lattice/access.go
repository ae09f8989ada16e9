package lattice

import (
	"context"
	"errors"
	"strings"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// access says what a caller must be allowed to do, by operation.
// Source: Service Authorization Reference, "Actions, resources, and condition keys
// for Amazon VPC Lattice".
func (s *Service) access() awsapi.AccessTable {
	t := awsapi.AccessTable{}
	row := func(operation string, resources resources, keys ...func(context.Context, *awsapi.Call) ([]awsapi.Key, error)) {
		a := awsapi.Access{Action: "vpc-lattice:" + operation, Resources: resources}
		if len(keys) > 0 {
			a.Keys = join(keys)
		}
		t[operation] = a
	}

	row("CreateServiceNetwork", s.fresh("servicenetwork", "sn"), awsapi.ConditionKeys(func(_ *awsapi.Call, in *wire.CreateServiceNetworkRequest) []awsapi.Key {
		return append(createKeys("CreateServiceNetwork", in.Tags), text("vpc-lattice:AuthType", in.AuthType)...)
	}))
	row("GetServiceNetwork", one(s, func(in *wire.GetServiceNetworkRequest) string { return *in.ServiceNetworkIdentifier }, "servicenetwork"))
	row("ListServiceNetworks", awsapi.Everything)
	row("UpdateServiceNetwork", one(s, func(in *wire.UpdateServiceNetworkRequest) string { return *in.ServiceNetworkIdentifier }, "servicenetwork"),
		awsapi.ConditionKeys(func(_ *awsapi.Call, in *wire.UpdateServiceNetworkRequest) []awsapi.Key {
			return text("vpc-lattice:AuthType", in.AuthType)
		}))
	row("DeleteServiceNetwork", one(s, func(in *wire.DeleteServiceNetworkRequest) string { return *in.ServiceNetworkIdentifier }, "servicenetwork"))

	row("CreateService", s.fresh("service", "svc"), awsapi.ConditionKeys(func(_ *awsapi.Call, in *wire.CreateServiceRequest) []awsapi.Key {
		return append(createKeys("CreateService", in.Tags), text("vpc-lattice:AuthType", in.AuthType)...)
	}))
	row("GetService", one(s, func(in *wire.GetServiceRequest) string { return *in.ServiceIdentifier }, "service"))
	row("ListServices", awsapi.Everything)
	row("UpdateService", one(s, func(in *wire.UpdateServiceRequest) string { return *in.ServiceIdentifier }, "service"),
		awsapi.ConditionKeys(func(_ *awsapi.Call, in *wire.UpdateServiceRequest) []awsapi.Key {
			return text("vpc-lattice:AuthType", in.AuthType)
		}))
	row("DeleteService", one(s, func(in *wire.DeleteServiceRequest) string { return *in.ServiceIdentifier }, "service"))

	row("CreateListener", below(s, func(in *wire.CreateListenerRequest) []string { return []string{*in.ServiceIdentifier, ""} }),
		awsapi.ConditionKeys(func(c *awsapi.Call, in *wire.CreateListenerRequest) []awsapi.Key {
			keys := append(createKeys("CreateListener", in.Tags), text("vpc-lattice:Protocol", in.Protocol)...)
			return append(keys, s.groupKeys(c, in.DefaultAction)...)
		}))
	row("GetListener", below(s, func(in *wire.GetListenerRequest) []string {
		return []string{*in.ServiceIdentifier, *in.ListenerIdentifier}
	}))
	row("ListListeners", awsapi.Everything)
	row("UpdateListener", below(s, func(in *wire.UpdateListenerRequest) []string {
		return []string{*in.ServiceIdentifier, *in.ListenerIdentifier}
	}),
		awsapi.ConditionKeys(func(c *awsapi.Call, in *wire.UpdateListenerRequest) []awsapi.Key {
			return s.groupKeys(c, in.DefaultAction)
		}))
	row("DeleteListener", below(s, func(in *wire.DeleteListenerRequest) []string {
		return []string{*in.ServiceIdentifier, *in.ListenerIdentifier}
	}))

	row("CreateRule", below(s, func(in *wire.CreateRuleRequest) []string {
		return []string{*in.ServiceIdentifier, *in.ListenerIdentifier, ""}
	}),
		awsapi.ConditionKeys(func(c *awsapi.Call, in *wire.CreateRuleRequest) []awsapi.Key {
			return append(createKeys("CreateRule", in.Tags), s.groupKeys(c, in.Action)...)
		}))
	row("GetRule", below(s, func(in *wire.GetRuleRequest) []string {
		return []string{*in.ServiceIdentifier, *in.ListenerIdentifier, *in.RuleIdentifier}
	}))
	row("ListRules", awsapi.Everything)
	row("UpdateRule", below(s, func(in *wire.UpdateRuleRequest) []string {
		return []string{*in.ServiceIdentifier, *in.ListenerIdentifier, *in.RuleIdentifier}
	}), awsapi.ConditionKeys(func(c *awsapi.Call, in *wire.UpdateRuleRequest) []awsapi.Key { return s.groupKeys(c, in.Action) }))
	// A batch has no action of its own: UpdateRule on every rule that it names.
	t["BatchUpdateRule"] = awsapi.Access{Action: "vpc-lattice:UpdateRule", Resources: awsapi.Targets(func(ctx context.Context, c *awsapi.Call, in *wire.BatchUpdateRuleRequest) ([]awsapi.Resource, error) {
		var out []awsapi.Resource
		for _, u := range in.Rules {
			r, err := s.resource(ctx, s.nested(c, []string{*in.ServiceIdentifier, *in.ListenerIdentifier, *u.RuleIdentifier}))
			if err != nil {
				return nil, err
			}
			r.Keys = append(r.Keys, s.groupKeys(c, u.Action)...)
			out = append(out, r)
		}
		return out, nil
	})}
	row("DeleteRule", below(s, func(in *wire.DeleteRuleRequest) []string {
		return []string{*in.ServiceIdentifier, *in.ListenerIdentifier, *in.RuleIdentifier}
	}))

	row("CreateTargetGroup", s.fresh("targetgroup", "tg"), awsapi.ConditionKeys(func(_ *awsapi.Call, in *wire.CreateTargetGroupRequest) []awsapi.Key {
		keys := createKeys("CreateTargetGroup", in.Tags)
		if in.Config != nil {
			keys = append(keys, text("vpc-lattice:VpcId", in.Config.VpcIdentifier)...)
		}
		return keys
	}))
	row("GetTargetGroup", one(s, func(in *wire.GetTargetGroupRequest) string { return *in.TargetGroupIdentifier }, "targetgroup"))
	row("ListTargetGroups", awsapi.Everything)
	row("UpdateTargetGroup", one(s, func(in *wire.UpdateTargetGroupRequest) string { return *in.TargetGroupIdentifier }, "targetgroup"))
	row("DeleteTargetGroup", one(s, func(in *wire.DeleteTargetGroupRequest) string { return *in.TargetGroupIdentifier }, "targetgroup"))
	// These three have no keys at all, not even the resource's tags.
	row("RegisterTargets", bare(s, func(in *wire.RegisterTargetsRequest) string { return *in.TargetGroupIdentifier }, "targetgroup"))
	row("DeregisterTargets", bare(s, func(in *wire.DeregisterTargetsRequest) string { return *in.TargetGroupIdentifier }, "targetgroup"))
	row("ListTargets", bare(s, func(in *wire.ListTargetsRequest) string { return *in.TargetGroupIdentifier }, "targetgroup"))

	row("CreateServiceNetworkServiceAssociation", awsapi.Targets(func(ctx context.Context, c *awsapi.Call, in *wire.CreateServiceNetworkServiceAssociationRequest) ([]awsapi.Resource, error) {
		return s.associated(ctx, c, "servicenetworkserviceassociation", arnOf(c, s, "servicenetwork", *in.ServiceNetworkIdentifier), arnOf(c, s, "service", *in.ServiceIdentifier))
	}), awsapi.ConditionKeys(func(c *awsapi.Call, in *wire.CreateServiceNetworkServiceAssociationRequest) []awsapi.Key {
		return append(createKeys("CreateServiceNetworkServiceAssociation", in.Tags),
			awsapi.Key{Name: "vpc-lattice:ServiceNetworkArn", Values: []string{arnOf(c, s, "servicenetwork", *in.ServiceNetworkIdentifier)}},
			awsapi.Key{Name: "vpc-lattice:ServiceArn", Values: []string{arnOf(c, s, "service", *in.ServiceIdentifier)}})
	}))
	row("GetServiceNetworkServiceAssociation", one(s, func(in *wire.GetServiceNetworkServiceAssociationRequest) string {
		return *in.ServiceNetworkServiceAssociationIdentifier
	}, "servicenetworkserviceassociation"))
	row("ListServiceNetworkServiceAssociations", awsapi.Everything, awsapi.ConditionKeys(func(c *awsapi.Call, in *wire.ListServiceNetworkServiceAssociationsRequest) []awsapi.Key {
		return append(s.arnKey(c, "vpc-lattice:ServiceNetworkArn", "servicenetwork", in.ServiceNetworkIdentifier),
			s.arnKey(c, "vpc-lattice:ServiceArn", "service", in.ServiceIdentifier)...)
	}))
	row("DeleteServiceNetworkServiceAssociation", one(s, func(in *wire.DeleteServiceNetworkServiceAssociationRequest) string {
		return *in.ServiceNetworkServiceAssociationIdentifier
	}, "servicenetworkserviceassociation"))

	row("CreateServiceNetworkVpcAssociation", awsapi.Targets(func(ctx context.Context, c *awsapi.Call, in *wire.CreateServiceNetworkVpcAssociationRequest) ([]awsapi.Resource, error) {
		return s.associated(ctx, c, "servicenetworkvpcassociation", arnOf(c, s, "servicenetwork", *in.ServiceNetworkIdentifier))
	}), awsapi.ConditionKeys(func(c *awsapi.Call, in *wire.CreateServiceNetworkVpcAssociationRequest) []awsapi.Key {
		keys := append(createKeys("CreateServiceNetworkVpcAssociation", in.Tags),
			awsapi.Key{Name: "vpc-lattice:ServiceNetworkArn", Values: []string{arnOf(c, s, "servicenetwork", *in.ServiceNetworkIdentifier)}},
			awsapi.Key{Name: "vpc-lattice:VpcId", Values: []string{*in.VpcIdentifier}},
			awsapi.Key{Name: "vpc-lattice:SecurityGroupIds", Values: in.SecurityGroupIds, Multi: true})
		if in.DnsOptions != nil {
			keys = append(keys, text("vpc-lattice:PrivateDnsPreference", in.DnsOptions.PrivateDnsPreference)...)
			keys = append(keys, awsapi.Key{Name: "vpc-lattice:PrivateDnsSpecifiedDomains", Values: in.DnsOptions.PrivateDnsSpecifiedDomains, Multi: true})
		}
		return keys
	}))
	row("GetServiceNetworkVpcAssociation", one(s, func(in *wire.GetServiceNetworkVpcAssociationRequest) string {
		return *in.ServiceNetworkVpcAssociationIdentifier
	}, "servicenetworkvpcassociation"))
	row("ListServiceNetworkVpcAssociations", awsapi.Everything, awsapi.ConditionKeys(func(c *awsapi.Call, in *wire.ListServiceNetworkVpcAssociationsRequest) []awsapi.Key {
		return append(s.arnKey(c, "vpc-lattice:ServiceNetworkArn", "servicenetwork", in.ServiceNetworkIdentifier), text("vpc-lattice:VpcId", in.VpcIdentifier)...)
	}))
	row("UpdateServiceNetworkVpcAssociation", one(s, func(in *wire.UpdateServiceNetworkVpcAssociationRequest) string {
		return *in.ServiceNetworkVpcAssociationIdentifier
	}, "servicenetworkvpcassociation"), awsapi.ConditionKeys(func(_ *awsapi.Call, in *wire.UpdateServiceNetworkVpcAssociationRequest) []awsapi.Key {
		return []awsapi.Key{{Name: "vpc-lattice:SecurityGroupIds", Values: in.SecurityGroupIds, Multi: true}}
	}))
	row("DeleteServiceNetworkVpcAssociation", one(s, func(in *wire.DeleteServiceNetworkVpcAssociationRequest) string {
		return *in.ServiceNetworkVpcAssociationIdentifier
	}, "servicenetworkvpcassociation"))

	row("PutAuthPolicy", policyTarget(s, func(in *wire.PutAuthPolicyRequest) string { return *in.ResourceIdentifier }))
	row("GetAuthPolicy", policyTarget(s, func(in *wire.GetAuthPolicyRequest) string { return *in.ResourceIdentifier }))
	row("DeleteAuthPolicy", policyTarget(s, func(in *wire.DeleteAuthPolicyRequest) string { return *in.ResourceIdentifier }))

	row("PutResourcePolicy", awsapi.Target(func(_ *awsapi.Call, in *wire.PutResourcePolicyRequest) string { return *in.ResourceArn }))
	row("GetResourcePolicy", awsapi.Target(func(_ *awsapi.Call, in *wire.GetResourcePolicyRequest) string { return *in.ResourceArn }))
	row("DeleteResourcePolicy", awsapi.Target(func(_ *awsapi.Call, in *wire.DeleteResourcePolicyRequest) string { return *in.ResourceArn }))

	row("TagResource", byARN(s, func(in *wire.TagResourceRequest) string { return *in.ResourceArn }),
		awsapi.ConditionKeys(func(_ *awsapi.Call, in *wire.TagResourceRequest) []awsapi.Key { return awsapi.RequestTags(in.Tags) }))
	t["UntagResource"] = awsapi.Access{
		Action: "vpc-lattice:UntagResource",
		Resources: awsapi.Targets(func(ctx context.Context, _ *awsapi.Call, in *wire.UntagResourceRequest) ([]awsapi.Resource, error) {
			r, err := s.resource(ctx, *in.ResourceArn)
			return []awsapi.Resource{r}, err
		}),
		Keys: awsapi.ConditionKeys(func(_ *awsapi.Call, in *wire.UntagResourceRequest) []awsapi.Key {
			return []awsapi.Key{{Name: "aws:TagKeys", Values: in.TagKeys, Multi: true}}
		}),
	}
	row("ListTagsForResource", awsapi.Everything)
	return t
}

func join(all []func(context.Context, *awsapi.Call) ([]awsapi.Key, error)) func(context.Context, *awsapi.Call) ([]awsapi.Key, error) {
	return func(ctx context.Context, c *awsapi.Call) ([]awsapi.Key, error) {
		var out []awsapi.Key
		for _, f := range all {
			keys, err := f(ctx, c)
			if err != nil {
				return nil, err
			}
			out = append(out, keys...)
		}
		return out, nil
	}
}

func text(name string, value *string) []awsapi.Key {
	if value == nil {
		return nil
	}
	return []awsapi.Key{{Name: name, Values: []string{*value}}}
}

// createKeys are the keys of every create.
func createKeys(operation string, tags map[string]string) []awsapi.Key {
	return append(awsapi.RequestTags(tags), awsapi.Key{Name: "vpc-lattice:CreateAction", Values: []string{operation}})
}

func (s *Service) callScope(c *awsapi.Call) model.Scope {
	return model.Scope{Partition: s.cfg.Partition, Account: c.Account, Region: c.Region}
}

// arnOf is the ARN that an identifier stands for. An ARN stays as it is sent, so
// that a policy sees what the caller named.
func arnOf(c *awsapi.Call, s *Service, kind, identifier string) string {
	if strings.HasPrefix(identifier, "arn:") {
		return identifier
	}
	return s.callScope(c).ARN(model.LatticeService, kind+"/"+identifier)
}

func (s *Service) arnKey(c *awsapi.Call, name, kind string, identifier *string) []awsapi.Key {
	if identifier == nil {
		return nil
	}
	return []awsapi.Key{{Name: name, Values: []string{arnOf(c, s, kind, *identifier)}}}
}

func (s *Service) groupKeys(c *awsapi.Call, a *wire.RuleAction) []awsapi.Key {
	if a == nil || a.Forward == nil {
		return nil
	}
	key := awsapi.Key{Name: "vpc-lattice:TargetGroupArns", Multi: true}
	for _, g := range a.Forward.TargetGroups {
		key.Values = append(key.Values, arnOf(c, s, "targetgroup", model.Deref(g.TargetGroupIdentifier)))
	}
	return []awsapi.Key{key}
}

// fresh is a resource that is not there yet: its id is not known before it is
// made, so it is a wildcard of its kind, which only a policy on all of them grants.
func (s *Service) fresh(kind, prefix string) resources {
	return func(_ context.Context, c *awsapi.Call) ([]awsapi.Resource, error) {
		return []awsapi.Resource{{ARN: s.callScope(c).ARN(model.LatticeService, kind+"/"+prefix+"-*")}}, nil
	}
}

// resource is one that is there, with its tags. One that is not there has none:
// the handler says so after the caller was allowed to ask.
func (s *Service) resource(ctx context.Context, arn string) (awsapi.Resource, error) {
	r := awsapi.Resource{ARN: arn}
	err := s.cfg.View(ctx, func(tx *store.Tx) error {
		meta, _, err := s.tagged(tx, s.scope(ctx), arn)
		var answered *fault.Error
		if errors.As(err, &answered) {
			return nil // Not there, or no ARN of ours: the handler answers that.
		}
		if err != nil {
			return err // Nobody can tell its tags, which may deny.
		}
		r.Keys = awsapi.TagKeys("aws:ResourceTag/", meta.Tags)
		joins, err := s.joinKeys(tx, s.scope(ctx), meta.ID)
		r.Keys = append(r.Keys, joins...)
		return err
	})
	return r, err
}

// joinKeys are the condition keys of an association: what it joins.
func (s *Service) joinKeys(tx *store.Tx, scope model.Scope, id string) ([]awsapi.Key, error) {
	key := func(name, value string) awsapi.Key { return awsapi.Key{Name: name, Values: []string{value}} }
	switch {
	case strings.HasPrefix(id, "snsa-"):
		a, err := model.ServiceAssociations.Get(tx, scope.Key(id))
		if err != nil || a == nil {
			return nil, err
		}
		return []awsapi.Key{key("vpc-lattice:ServiceArn", a.ServiceARN), key("vpc-lattice:ServiceNetworkArn", a.NetworkARN)}, nil
	case strings.HasPrefix(id, "snva-"):
		a, err := model.VPCAssociations.Get(tx, scope.Key(id))
		if err != nil || a == nil {
			return nil, err
		}
		return []awsapi.Key{key("vpc-lattice:VpcId", a.VPC), key("vpc-lattice:ServiceNetworkArn", a.NetworkARN)}, nil
	}
	return nil, nil
}

type resources = func(context.Context, *awsapi.Call) ([]awsapi.Resource, error)

// one is an operation on one resource of a kind.
func one[In any](s *Service, identifier func(*In) string, kind string) resources {
	return awsapi.Targets(func(ctx context.Context, c *awsapi.Call, in *In) ([]awsapi.Resource, error) {
		r, err := s.resource(ctx, arnOf(c, s, kind, identifier(in)))
		return []awsapi.Resource{r}, err
	})
}

// bare is one without the resource's tags.
func bare[In any](s *Service, identifier func(*In) string, kind string) resources {
	return awsapi.Target(func(c *awsapi.Call, in *In) string { return arnOf(c, s, kind, identifier(in)) })
}

// policyTarget is what an auth policy belongs to.
func policyTarget[In any](s *Service, identifier func(*In) string) resources {
	return awsapi.Target(func(c *awsapi.Call, in *In) string {
		kind := "service"
		if kindOf(identifier(in)) == typeNetwork {
			kind = "servicenetwork"
		}
		return arnOf(c, s, kind, identifier(in))
	})
}

func byARN[In any](s *Service, arn func(*In) string) resources {
	return awsapi.Targets(func(ctx context.Context, _ *awsapi.Call, in *In) ([]awsapi.Resource, error) {
		r, err := s.resource(ctx, arn(in))
		return []awsapi.Resource{r}, err
	})
}

// below is a listener or a rule, by the identifiers on the way to it; an empty
// last one stands for one that is not there yet.
func below[In any](s *Service, path func(*In) []string) resources {
	return awsapi.Targets(func(ctx context.Context, c *awsapi.Call, in *In) ([]awsapi.Resource, error) {
		r, err := s.resource(ctx, s.nested(c, path(in)))
		return []awsapi.Resource{r}, err
	})
}

// nested is the ARN of a service, listener or rule by the identifiers on the way.
func (s *Service) nested(c *awsapi.Call, identifiers []string) string {
	last := identifiers[len(identifiers)-1]
	if strings.HasPrefix(last, "arn:") {
		return last
	}
	kinds := []string{"service", "listener", "rule"}
	var path []string
	for i, identifier := range identifiers {
		id := identifier[strings.LastIndexByte(identifier, '/')+1:]
		if id == "" {
			id = kinds[i] + "-*"
		}
		path = append(path, kinds[i], id)
	}
	return s.callScope(c).ARN(model.LatticeService, strings.Join(path, "/"))
}

// associated is a new association and what it joins; each must be allowed.
func (s *Service) associated(ctx context.Context, c *awsapi.Call, kind string, arns ...string) ([]awsapi.Resource, error) {
	out := []awsapi.Resource{{ARN: s.callScope(c).ARN(model.LatticeService, kind+"/*")}}
	for _, arn := range arns {
		r, err := s.resource(ctx, arn)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}
