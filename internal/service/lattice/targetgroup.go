package lattice

import (
	"context"
	"strconv"
	"strings"

	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/vpclattice"
)

func (s *Service) targetGroup(tx *store.Tx, scope model.Scope, identifier string) (*model.TargetGroup, string, error) {
	return find(tx, model.TargetGroups, scope, typeTargetGroup, identifier)
}

// Defaults of health checks.
// Source: VPC Lattice User Guide, "Health checks for your target groups".
const (
	defaultInterval  = 30
	defaultTimeout   = 5
	defaultHealthy   = 5
	defaultUnhealthy = 2
)

// groupConfig checks a target group's configuration and fills its defaults in.
func groupConfig(kind string, in *wire.TargetGroupConfig) (*wire.TargetGroupConfig, error) {
	if kind == wire.TargetGroupTypeLambda || kind == wire.TargetGroupTypeAlb {
		return nil, refused("Target groups of type %s are not built: there is nothing of the kind to forward to; use type IP", kind)
	}
	if in == nil {
		in = &wire.TargetGroupConfig{}
	}
	c := *in
	switch {
	case c.LambdaEventStructureVersion != nil:
		return nil, invalid("config.lambdaEventStructureVersion", "lambdaEventStructureVersion is for target groups of type LAMBDA")
	case c.Protocol == nil:
		return nil, invalid("config.protocol", "protocol is required for target groups of type %s", kind)
	case c.VpcIdentifier == nil:
		return nil, invalid("config.vpcIdentifier", "vpcIdentifier is required for target groups of type %s", kind)
	case *c.Protocol == wire.TargetGroupProtocolTcp:
		return nil, refused("Target groups of protocol TCP serve TLS_PASSTHROUGH listeners, which are not built yet")
	}
	if c.Port == nil {
		c.Port = new(int64(80))
		if *c.Protocol == wire.TargetGroupProtocolHttps {
			c.Port = new(int64(443))
		}
	}
	if c.ProtocolVersion == nil {
		c.ProtocolVersion = new(wire.TargetGroupProtocolVersionHttp1)
	}
	if kind == wire.TargetGroupTypeIp && c.IpAddressType == nil {
		c.IpAddressType = new(wire.IpAddressTypeIpv4)
	} else if kind != wire.TargetGroupTypeIp && c.IpAddressType != nil {
		return nil, invalid("config.ipAddressType", "ipAddressType is for target groups of type IP")
	}
	var err error
	c.HealthCheck, err = healthCheck("config.healthCheck", &c, c.HealthCheck, nil)
	return &c, err
}

// healthCheck checks a health check and fills its defaults in: members that are
// not sent keep the value of before, and 0 and "" stand for the default. member is
// what it is in the request.
func healthCheck(member string, c *wire.TargetGroupConfig, in, before *wire.HealthCheckConfig) (*wire.HealthCheckConfig, error) {
	version := *c.ProtocolVersion
	out := wire.HealthCheckConfig{
		Enabled:  new(version == wire.TargetGroupProtocolVersionHttp1),
		Protocol: c.Protocol, ProtocolVersion: new(wire.HealthCheckProtocolVersionHttp1),
		Path: new("/"), Matcher: &wire.Matcher{HttpCode: new("200")},
		HealthCheckIntervalSeconds: new(int64(defaultInterval)), HealthCheckTimeoutSeconds: new(int64(defaultTimeout)),
		HealthyThresholdCount: new(int64(defaultHealthy)), UnhealthyThresholdCount: new(int64(defaultUnhealthy)),
	}
	if version == wire.TargetGroupProtocolVersionHttp2 {
		out.ProtocolVersion = new(wire.HealthCheckProtocolVersionHttp2)
	}
	for _, h := range []*wire.HealthCheckConfig{before, in} {
		if h == nil {
			continue
		}
		if h.Enabled != nil {
			out.Enabled = h.Enabled
		}
		if h.Protocol != nil {
			out.Protocol = h.Protocol
		}
		if h.ProtocolVersion != nil {
			out.ProtocolVersion = h.ProtocolVersion
		}
		if h.Port != nil {
			out.Port = h.Port
			if *h.Port == 0 {
				out.Port = nil
			}
		}
		if h.Path != nil {
			out.Path = orDefault(*h.Path, "/")
		}
		if h.Matcher != nil && h.Matcher.HttpCode != nil {
			out.Matcher = &wire.Matcher{HttpCode: orDefault(*h.Matcher.HttpCode, "200")}
		}
		for _, n := range []struct {
			to             **int64
			from           *int64
			name           string
			low, high, def int64
		}{
			{&out.HealthCheckIntervalSeconds, h.HealthCheckIntervalSeconds, "healthCheckIntervalSeconds", 5, 300, defaultInterval},
			{&out.HealthCheckTimeoutSeconds, h.HealthCheckTimeoutSeconds, "healthCheckTimeoutSeconds", 1, 120, defaultTimeout},
			{&out.HealthyThresholdCount, h.HealthyThresholdCount, "healthyThresholdCount", 2, 10, defaultHealthy},
			{&out.UnhealthyThresholdCount, h.UnhealthyThresholdCount, "unhealthyThresholdCount", 2, 10, defaultUnhealthy},
		} {
			switch {
			case n.from == nil:
			case *n.from == 0:
				*n.to = &n.def
			case *n.from < n.low || *n.from > n.high:
				return nil, invalid(member+"."+n.name, "%s must be from %d to %d, or 0 for the default of %d", n.name, n.low, n.high, n.def)
			default:
				*n.to = n.from
			}
		}
	}
	if *out.Protocol == wire.TargetGroupProtocolTcp {
		return nil, invalid(member+".protocol", "health checks have protocol HTTP or HTTPS")
	}
	return &out, checkMatcher(member, *out.Matcher.HttpCode)
}

func orDefault(text, otherwise string) *string {
	if text == "" {
		return &otherwise
	}
	return &text
}

// checkMatcher checks a list of codes and ranges.
// Source: VPC Lattice User Guide, "Health checks": 200 to 499.
func checkMatcher(member, matcher string) error {
	for _, part := range strings.Split(matcher, ",") {
		low, high, ranged := strings.Cut(part, "-")
		from, err := strconv.Atoi(low)
		to := from
		if ranged && err == nil {
			to, err = strconv.Atoi(high)
		}
		if err != nil || from < 200 || to > 499 || from > to {
			return invalid(member+".matcher.httpCode", "matcher %q must be codes from 200 to 499, such as 200,202 or 200-299", matcher)
		}
	}
	return nil
}

// CreateTargetGroup implements vpc-lattice:CreateTargetGroup.
func (s *Service) CreateTargetGroup(ctx context.Context, in *wire.CreateTargetGroupRequest) (*wire.CreateTargetGroupResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	config, err := groupConfig(*in.Type, in.Config)
	if err != nil {
		return nil, err
	}
	scope := s.scope(ctx)
	var g *model.TargetGroup
	err = s.cfg.Update(ctx, func(tx *store.Tx) error {
		if err := s.vpcExists(tx, scope, *config.VpcIdentifier); err != nil {
			return err
		}
		id := model.NewID("tg")
		g = &model.TargetGroup{
			Meta: s.meta(scope, id, "targetgroup/"+id, *in.Name, in.Tags),
			Type: *in.Type, Config: config,
		}
		if err := claim(tx, scope, "targetgroup", g.Name, id, nameTaken(typeTargetGroup, g.Name)); err != nil {
			return err
		}
		return model.TargetGroups.Put(tx, scope.Key(id), g)
	})
	if err != nil {
		return nil, err
	}
	return &wire.CreateTargetGroupResponse{
		Arn: &g.ARN, Config: g.Config, Id: &g.ID, Name: &g.Name, Status: new(statusActive), Type: &g.Type,
	}, nil
}

// vpcExists refuses a VPC that nobody registered.
func (s *Service) vpcExists(tx *store.Tx, scope model.Scope, id string) error {
	if scope.Account == s.cfg.DefaultAccount && id == model.DefaultVPC(scope.Account, scope.Region, s.cfg.Clock()).ID {
		return nil
	}
	known, err := model.VPCs.Has(tx, scope.Key(id))
	if err == nil && !known {
		e := notFound(typeVPC, id)
		e.Message = "VPC " + id + " not found: register it with aws ec2 create-vpc --cidr-block, or take one that aws ec2 describe-vpcs lists"
		return e
	}
	return err
}

// GetTargetGroup implements vpc-lattice:GetTargetGroup.
func (s *Service) GetTargetGroup(ctx context.Context, in *wire.GetTargetGroupRequest) (*wire.GetTargetGroupResponse, error) {
	scope := s.scope(ctx)
	var out *wire.GetTargetGroupResponse
	err := s.cfg.View(ctx, func(tx *store.Tx) error {
		g, _, err := s.targetGroup(tx, scope, *in.TargetGroupIdentifier)
		if err != nil {
			return err
		}
		user, err := userOf(tx, scope, g.ID)
		out = &wire.GetTargetGroupResponse{
			Arn: &g.ARN, Config: g.Config, CreatedAt: at(g.Created), Id: &g.ID, LastUpdatedAt: at(g.Updated), Name: &g.Name,
			ServiceArns: serviceARNs(scope, user), Status: new(statusActive), Type: &g.Type,
		}
		return err
	})
	return out, err
}

// ListTargetGroups implements vpc-lattice:ListTargetGroups.
func (s *Service) ListTargetGroups(ctx context.Context, in *wire.ListTargetGroupsRequest) (*wire.ListTargetGroupsResponse, error) {
	scope := s.scope(ctx)
	var used map[string]string
	read := func(tx *store.Tx) ([]*model.TargetGroup, error) {
		var err error
		if used, err = users(tx, scope); err != nil {
			return nil, err
		}
		return all(model.TargetGroups, scope.Prefix(), func(g *model.TargetGroup) bool {
			return (in.TargetGroupType == nil || g.Type == *in.TargetGroupType) &&
				(in.VpcIdentifier == nil || model.Deref(g.Config.VpcIdentifier) == *in.VpcIdentifier)
		})(tx)
	}
	items, next, err := list(ctx, s, read, func(g *model.TargetGroup) *model.Meta { return &g.Meta },
		func(g *model.TargetGroup) wire.TargetGroupSummary {
			return wire.TargetGroupSummary{
				Arn: &g.ARN, CreatedAt: at(g.Created), Id: &g.ID, IpAddressType: g.Config.IpAddressType,
				LastUpdatedAt: at(g.Updated), Name: &g.Name, Port: g.Config.Port, Protocol: g.Config.Protocol,
				ServiceArns: serviceARNs(scope, used[g.ID]), Status: new(statusActive), Type: &g.Type, VpcIdentifier: g.Config.VpcIdentifier,
			}
		})
	if err != nil {
		return nil, err
	}
	return &wire.ListTargetGroupsResponse{Items: items, NextToken: next}, nil
}

// UpdateTargetGroup implements vpc-lattice:UpdateTargetGroup: of the health check
// only.
func (s *Service) UpdateTargetGroup(ctx context.Context, in *wire.UpdateTargetGroupRequest) (*wire.UpdateTargetGroupResponse, error) {
	scope := s.scope(ctx)
	var g *model.TargetGroup
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		var key string
		var err error
		if g, key, err = s.targetGroup(tx, scope, *in.TargetGroupIdentifier); err != nil {
			return err
		}
		if g.Config.HealthCheck, err = healthCheck("healthCheck", g.Config, in.HealthCheck, g.Config.HealthCheck); err != nil {
			return err
		}
		g.Updated = s.cfg.Clock()
		return model.TargetGroups.Put(tx, key, g)
	})
	if err != nil {
		return nil, err
	}
	return &wire.UpdateTargetGroupResponse{
		Arn: &g.ARN, Config: g.Config, Id: &g.ID, Name: &g.Name, Status: new(statusActive), Type: &g.Type,
	}, nil
}

// DeleteTargetGroup implements vpc-lattice:DeleteTargetGroup.
func (s *Service) DeleteTargetGroup(ctx context.Context, in *wire.DeleteTargetGroupRequest) (*wire.DeleteTargetGroupResponse, error) {
	scope := s.scope(ctx)
	var g *model.TargetGroup
	// Drained targets go first, in transactions of their own: there may be any number.
	for more := true; more; {
		err := s.cfg.Update(ctx, func(tx *store.Tx) (err error) {
			if g, _, err = s.targetGroup(tx, scope, *in.TargetGroupIdentifier); err != nil {
				return err
			}
			more, err = s.sweep(tx, scope, g.ID)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	err := s.cfg.Update(ctx, func(tx *store.Tx) error {
		var key string
		var err error
		if g, key, err = s.targetGroup(tx, scope, *in.TargetGroupIdentifier); err != nil {
			return err
		}
		user, err := userOf(tx, scope, g.ID)
		if err != nil {
			return err
		}
		if user != "" {
			return conflict(typeTargetGroup, g.ID, "TargetGroup %s is in use by a listener or rule of %s", g.ID, scope.ARN(model.LatticeService, "service/"+user))
		}
		targets, err := s.targets(tx, scope, g.ID)
		if err != nil {
			return err
		}
		if len(targets) > 0 {
			return conflict(typeTargetGroup, g.ID, "TargetGroup has targets registered with it: deregister the targets of %s first", g.ID)
		}
		if err := release(tx, scope, "targetgroup", g.Name); err != nil {
			return err
		}
		return model.TargetGroups.Delete(tx, key)
	})
	if err != nil {
		return nil, err
	}
	return &wire.DeleteTargetGroupResponse{Arn: &g.ARN, Id: &g.ID, Status: new(statusDeleting)}, nil
}
