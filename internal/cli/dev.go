package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sync/errgroup"

	"github.com/latchwork/latchwork/internal/server"
)

type devCommand struct {
	serverFlags
	Backend string `default:"127.0.0.1:4080" help:"Where the demonstration's backend listens."`
}

// Names of the demonstration.
const (
	demoNetwork = "demo"
	demoService = "rates"
	demoDomain  = "rates.demo.localhost"
	demoRole    = "rates-client"
)

func (c *devCommand) Run(e *env) error {
	config, err := c.config()
	if err != nil {
		return usage(err)
	}
	listener, err := net.Listen("tcp", c.Backend)
	if err != nil {
		return fmt.Errorf("the demonstration's backend: %w: choose another address with --backend", err)
	}
	group, ctx := errgroup.WithContext(e.ctx)
	backend := &http.Server{Handler: http.HandlerFunc(demoBackend), ReadHeaderTimeout: 10 * time.Second}
	group.Go(func() error {
		if err := backend.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		return backend.Close()
	})
	ready := make(chan *server.Info, 1)
	serving, stop := context.WithCancel(ctx)
	defer stop()
	group.Go(func() error {
		return server.Run(serving, config, e.stderr, func(i *server.Info) { ready <- i })
	})
	group.Go(func() error {
		select {
		case info := <-ready:
			err := c.demonstrate(ctx, e.stdout, config, info, listener.Addr().(*net.TCPAddr))
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("making the demonstration: %w", err)
			}
			return nil
		case <-ctx.Done():
			return nil
		}
	})
	err = group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// demoBackend answers what it was asked, and who the gateway says asked it.
func demoBackend(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{
		"service": "rates", "method": r.Method, "path": r.URL.Path,
		"caller": r.Header.Get("X-Amzn-Lattice-Identity"),
	})
}

// world makes the demonstration, writing each step as the aws command that it is.
type world struct {
	ctx    context.Context
	client *client
	out    io.Writer
}

// step prints the aws command of the next call.
func (w *world) step(format string, args ...any) { fmt.Fprintf(w.out, "  aws "+format+"\n", args...) }

func (c *devCommand) demonstrate(ctx context.Context, out io.Writer, config server.Config, info *server.Info, backend *net.TCPAddr) error {
	admin, err := server.ReadAdmin(config.DataDir, info.AccountID)
	if err != nil {
		fmt.Fprintf(out, "\nNo demonstration: %v\n", err)
		return nil
	}
	w := &world{ctx: ctx, client: newClient(info, adminCredentials(admin)), out: out}
	var services struct {
		Items []struct{ Name, CustomDomainName string } `json:"items"`
	}
	if err := w.client.rest(ctx, "vpc-lattice", http.MethodGet, "/services?maxResults=100", nil, &services); err != nil {
		return err
	}
	there := false
	for _, s := range services.Items {
		there = there || s.Name == demoService && s.CustomDomainName == demoDomain
	}
	switch {
	case there:
		fmt.Fprintf(out, "\nThe demonstration is there from before.\n")
	case len(services.Items) > 0:
		fmt.Fprintf(out, "\nNo demonstration: the data directory has services of its own.\n")
		return nil
	default:
		fmt.Fprintf(out, "\nThe demonstration, made with these commands:\n\n")
		if err := w.create(info.AccountID, backend); err != nil {
			return err
		}
	}
	flag := ""
	if config.DataDir != server.Defaults().DataDir {
		flag = " --data-dir " + config.DataDir
	}
	fmt.Fprintf(out, `
Try it, in another terminal:

  bin/latchwork curl%[1]s --role %[2]s http://%[3]s/rates
  bin/latchwork curl%[1]s --role %[2]s -X DELETE http://%[3]s/rates
  bin/latchwork explain%[1]s last

The first is allowed, the second is denied, the third says why.
Your own commands:  eval "$(bin/latchwork env%[1]s)" && aws vpc-lattice list-services
`, flag, demoRole, demoDomain)
	return nil
}

// identified is what creates answer.
type identified struct {
	ID  string `json:"id"`
	ARN string `json:"arn"`
}

func (w *world) lattice(method, path string, in, out any) error {
	return w.client.rest(w.ctx, "vpc-lattice", method, path, in, out)
}

func (w *world) create(account string, backend *net.TCPAddr) error {
	var vpcs struct {
		IDs []string `xml:"vpcSet>item>vpcId"`
	}
	w.step("ec2 describe-vpcs --filters Name=is-default,Values=true")
	err := w.client.query(w.ctx, "ec2", "2016-11-15", "DescribeVpcs",
		map[string]string{"Filter.1.Name": "is-default", "Filter.1.Value.1": "true"}, &vpcs)
	if err != nil {
		return err
	}
	if len(vpcs.IDs) == 0 {
		return errors.New("there is no default VPC")
	}
	vpc := vpcs.IDs[0]
	var network, service, group identified
	w.step("vpc-lattice create-service-network --name %s --auth-type AWS_IAM", demoNetwork)
	if err := w.lattice("POST", "/servicenetworks", map[string]string{"name": demoNetwork, "authType": "AWS_IAM"}, &network); err != nil {
		return err
	}
	w.step("vpc-lattice create-service-network-vpc-association --service-network-identifier %s --vpc-identifier %s", network.ID, vpc)
	if err := w.lattice("POST", "/servicenetworkvpcassociations", map[string]string{"serviceNetworkIdentifier": network.ID, "vpcIdentifier": vpc}, nil); err != nil {
		return err
	}
	w.step("vpc-lattice create-service --name %s --custom-domain-name %s --auth-type AWS_IAM", demoService, demoDomain)
	if err := w.lattice("POST", "/services", map[string]string{"name": demoService, "customDomainName": demoDomain, "authType": "AWS_IAM"}, &service); err != nil {
		return err
	}
	port := backend.Port
	w.step("vpc-lattice create-target-group --name %s --type IP --config port=%d,protocol=HTTP,vpcIdentifier=%s", demoService, port, vpc)
	if err := w.lattice("POST", "/targetgroups", map[string]any{
		"name": demoService, "type": "IP", "config": map[string]any{"port": port, "protocol": "HTTP", "vpcIdentifier": vpc},
	}, &group); err != nil {
		return err
	}
	w.step("vpc-lattice register-targets --target-group-identifier %s --targets id=%s,port=%d", group.ID, backend.IP, port)
	if err := w.lattice("POST", "/targetgroups/"+group.ID+"/registertargets", map[string]any{
		"targets": []any{map[string]any{"id": backend.IP.String(), "port": port}},
	}, nil); err != nil {
		return err
	}
	w.step("vpc-lattice create-listener --service-identifier %s --name http --protocol HTTP --port 80 --default-action 'forward={targetGroups=[{targetGroupIdentifier=%s}]}'", service.ID, group.ID)
	if err := w.lattice("POST", "/services/"+service.ID+"/listeners", map[string]any{
		"name": "http", "protocol": "HTTP", "port": 80,
		"defaultAction": map[string]any{"forward": map[string]any{"targetGroups": []any{map[string]string{"targetGroupIdentifier": group.ID}}}},
	}, nil); err != nil {
		return err
	}
	w.step("vpc-lattice create-service-network-service-association --service-network-identifier %s --service-identifier %s", network.ID, service.ID)
	if err := w.lattice("POST", "/servicenetworkserviceassociations", map[string]string{"serviceNetworkIdentifier": network.ID, "serviceIdentifier": service.ID}, nil); err != nil {
		return err
	}
	role := "arn:aws:iam::" + account + ":role/" + demoRole
	// The network lets in whoever signs; the service lets one role read.
	for _, p := range []struct{ id, document string }{
		{network.ID, `{"Version":"2012-10-17","Statement":[{"Sid":"SignedOnly","Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*","Condition":{"StringNotEqualsIgnoreCase":{"aws:PrincipalType":"anonymous"}}}]}`},
		{service.ID, fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"ReadRates","Effect":"Allow","Principal":{"AWS":["%s"]},"Action":"vpc-lattice-svcs:Invoke","Resource":["%s/*"],"Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"}}}]}`, role, service.ARN)},
	} {
		w.step("vpc-lattice put-auth-policy --resource-identifier %s --policy '%s'", p.id, p.document)
		if err := w.lattice("PUT", "/authpolicy/"+url.PathEscape(p.id), map[string]string{"policy": p.document}, nil); err != nil {
			return err
		}
	}
	return w.createRole(account)
}

func (w *world) createRole(account string) error {
	trust := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"sts:AssumeRole"}]}`, account)
	invoke := `{"Version":"2012-10-17","Statement":[{"Sid":"Invoke","Effect":"Allow","Action":"vpc-lattice-svcs:Invoke","Resource":"*"}]}`
	for _, call := range []struct {
		action     string
		parameters [][2]string
	}{
		{"CreateRole", [][2]string{{"RoleName", demoRole}, {"AssumeRolePolicyDocument", trust}}},
		{"PutRolePolicy", [][2]string{{"RoleName", demoRole}, {"PolicyName", "invoke"}, {"PolicyDocument", invoke}}},
	} {
		parameters := map[string]string{}
		var text strings.Builder
		for _, p := range call.parameters {
			parameters[p[0]] = p[1]
			value := p[1]
			if strings.ContainsAny(value, `{" `) {
				value = "'" + value + "'"
			}
			text.WriteString(" --" + dashed(p[0]) + " " + value)
		}
		w.step("iam %s%s", dashed(call.action), text.String())
		if err := w.client.query(w.ctx, "iam", versionIAM, call.action, parameters, nil); err != nil {
			return err
		}
	}
	return nil
}

// dashed is a member's name as the AWS CLI writes it.
func dashed(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && 'A' <= r && r <= 'Z' {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
