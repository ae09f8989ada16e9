package server

import (
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"time"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/credential"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/service/cloudmap"
	"github.com/latchwork/latchwork/internal/service/ec2"
	"github.com/latchwork/latchwork/internal/service/iam"
	"github.com/latchwork/latchwork/internal/service/lattice"
	"github.com/latchwork/latchwork/internal/service/mesh"
	"github.com/latchwork/latchwork/internal/service/operator"
	"github.com/latchwork/latchwork/internal/service/sts"
	"github.com/latchwork/latchwork/internal/xds"
)

// openAPI puts the APIs together.
func (s *Server) openAPI(authenticator *credential.Authenticator, tokens *credential.Tokens) error {
	auth := &apiAuth{authenticator: authenticator, clock: s.clock, region: s.cfg.Region, decided: s.metrics.decided("api")}
	observer := &observer{metrics: s.metrics, writer: s.calls, log: s.log, used: map[string]lastUse{}}
	iamConfig := s.iamConfig()
	iamConfig.LastUsed = func(key string) (iam.LastUsed, bool) {
		u, ok := observer.lastUsed(key)
		return iam.LastUsed{At: u.at, Service: u.service, Region: u.region}, ok
	}
	api, err := awsapi.New(awsapi.Config{
		Bindings: []awsapi.Binding{
			lattice.New(lattice.Config{
				State: s.state(), Clock: s.clock, Partition: partition,
				DefaultAccount: s.cfg.AccountID, Observed: s.cfg.observed, Log: s.log, Health: s.gateway.Health, PortProblem: s.gateway.PortProblem,
			}),
			iam.New(iamConfig),
			sts.New(sts.Config{
				World: sts.Pinned{}, Decider: roleDecider{auth}, Tokens: tokens, Clock: s.clock, Partition: partition, Authorizer: auth,
				Identities: s.identities,
			}),
			ec2.New(ec2.Config{State: s.state(), Clock: s.clock, Settings: &s.cfg.world}),
			cloudmap.New(cloudmap.Config{State: s.state(), Clock: s.clock, Partition: partition, Shuffle: rand.Shuffle, OperationLife: operationLife}),
			mesh.New(mesh.Config{State: s.state(), Clock: s.clock, Partition: partition, Quotas: s.cfg.MeshQuotas}),
			operator.New(operator.Config{
				State: s.state(), Clock: s.clock,
				Explain:  func(id, account string) (any, bool) { return s.recorder.Explain(id, account, authenticator) },
				Problems: s.problems, Proxies: s.proxies,
				AddressOwner: func(addr netip.Addr) (string, bool) { return s.publisher.Current().AddressOwner(addr) },
				PodAccount:   s.cfg.AccountID,
			}),
		},
		Authenticator: auth, Authorizer: auth, Clock: s.clock, Log: s.log, Idempotency: s.answers,
		Snapshot: func() any { return s.publisher.Current() }, Observe: observer.observe, Region: s.cfg.Region, Partition: partition,
	})
	if err != nil {
		return err
	}
	s.api = &http.Server{
		Handler: api, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 256 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return nil
}

func (s *Server) state() model.State { return model.State{Store: s.store, Published: s.publisher} }

func (s *Server) iamConfig() iam.Config {
	return iam.Config{
		State: s.state(), Clock: s.clock, Partition: partition, Secrets: s.ring,
		// On machines of one's own there is no reason to ration entities.
		Quotas: iam.Quotas{
			Users: iam.Unlimited, Groups: iam.Unlimited, Roles: iam.Unlimited, Policies: iam.Unlimited, InstanceProfiles: iam.Unlimited,
			OIDCProviders: iam.Unlimited,
		},
	}
}

// proxies are the Envoys of an account that are connected, and those that were
// refused.
func (s *Server) proxies(account string) (connected, refused any) {
	if s.ems == nil {
		return []xds.Proxy{}, []xds.Attempt{}
	}
	return s.ems.Proxies(account), s.ems.Refused(account)
}

// problems are the records of an account that could not be compiled.
func (s *Server) problems(account string) map[string]string {
	out := map[string]string{}
	if snap := s.publisher.Current(); snap != nil {
		for _, p := range snap.Problems() {
			if model.AccountOf(p.Record) == account {
				out[p.Record] = p.Err.Error()
			}
		}
	}
	return out
}
