//go:build conformance

package conformance

import (
	"encoding/json"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

// TestCloudMap registers and discovers instances with every client: AWS CLI v2 and
// boto3 speak different protocols.
func TestCloudMap(t *testing.T) {
	in := start(t)
	admin := in.administrator(account)
	t.Run("AWS CLI", func(t *testing.T) { cloudMapWithCLI(t, in, admin) })
	t.Run("boto3", func(t *testing.T) { cloudMapWithBoto(t, in, admin) })
	if left := in.aws(admin, "servicediscovery", "list-namespaces")["Namespaces"].([]any); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// onDataHost is the environment of a client that can reach the host that instances
// are discovered at: the clients put "data-" before the name of the endpoint's. A
// proxy knows where that is.
func (in *installation) onDataHost(who identity) []string {
	in.t.Helper()
	api, err := url.Parse(in.api)
	if err != nil {
		in.t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(api)
		r.Out.Host = r.In.Host
	}})
	in.t.Cleanup(proxy.Close)
	return append(in.environ(who), "HTTP_PROXY="+proxy.URL)
}

func cloudMapWithCLI(t *testing.T, in *installation, admin identity) {
	call := func(operation string, args ...string) map[string]any {
		t.Helper()
		return in.aws(admin, append([]string{"servicediscovery", operation}, args...)...)
	}
	fails := func(want, operation string, args ...string) {
		t.Helper()
		mustContain(t, operation, in.awsFails(admin, append([]string{"servicediscovery", operation}, args...)...), want)
	}
	target := func(answer map[string]any, kind string) string {
		t.Helper()
		o := call("get-operation", "--operation-id", answer["OperationId"].(string))["Operation"].(map[string]any)
		if o["Status"] != "SUCCESS" {
			t.Errorf("the operation is %v", o)
		}
		return o["Targets"].(map[string]any)[kind].(string)
	}
	namespace := target(call("create-private-dns-namespace", "--name", "cli.local", "--vpc", "vpc-1", "--tags", "Key=team,Value=blue"), "NAMESPACE")
	fails("(NamespaceAlreadyExists)", "create-http-namespace", "--name", "cli.local")
	service := call("create-service", "--name", "colors", "--namespace-id", namespace,
		"--dns-config", "DnsRecords=[{Type=A,TTL=60}]", "--health-check-custom-config", "FailureThreshold=1")["Service"].(map[string]any)
	id := service["Id"].(string)
	fails("(ServiceAlreadyExists)", "create-service", "--name", "colors", "--namespace-id", namespace)
	fails("Route 53 health checks are not built", "create-service", "--name", "checked", "--namespace-id", namespace, "--health-check-config", "Type=TCP")
	for i, address := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"} {
		call("register-instance", "--service-id", id, "--instance-id", "i"+string('1'+rune(i)), "--attributes", "AWS_INSTANCE_IPV4="+address+",color=red")
	}
	fails("(InvalidInput)", "register-instance", "--service-id", id, "--instance-id", "x", "--attributes", "color=red")
	call("update-instance-custom-health-status", "--service-id", id, "--instance-id", "i2", "--status", "UNHEALTHY")
	sameJSON(t, "the health", `{"i1":"HEALTHY","i2":"UNHEALTHY","i3":"HEALTHY"}`, call("get-instances-health-status", "--service-id", id)["Status"])
	data := in.onDataHost(admin)
	discover := func(operation string, args ...string) (out struct {
		Instances         []any
		InstancesRevision int
	},
	) {
		t.Helper()
		args = append([]string{"servicediscovery", operation, "--namespace-name", "cli.local", "--service-name", "colors"}, args...)
		stdout, stderr, code := in.execute(data, newest().path, args...)
		if code != 0 {
			t.Fatalf("%s: exit %d\n%s", operation, code, stderr)
		}
		if err := json.Unmarshal([]byte(stdout), &out); err != nil {
			t.Fatalf("%v\n%s", err, stdout)
		}
		return out
	}
	found := func(args ...string) int { return len(discover("discover-instances", args...).Instances) }
	if all, healthy := found("--health-status", "ALL"), found("--query-parameters", "color=red", "--health-status", "HEALTHY"); all != 3 || healthy != 2 {
		t.Errorf("%d instances, %d healthy", all, healthy)
	}
	if revision := discover("discover-instances-revision").InstancesRevision; revision != 3 {
		t.Errorf("the revision is %v", revision)
	}
	if listed := call("list-instances", "--service-id", id, "--page-size", "2")["Instances"].([]any); len(listed) != 3 {
		t.Errorf("listed: %v", listed)
	}
	if listed := call("list-services", "--filters", "Name=NAMESPACE_ID,Values="+namespace)["Services"].([]any); len(listed) != 1 {
		t.Errorf("listed: %v", listed)
	}
	sameJSON(t, "the tags", `[{"Key":"team","Value":"blue"}]`, call("list-tags-for-resource", "--resource-arn", "arn:aws:servicediscovery:"+region+":"+account+":namespace/"+namespace)["Tags"])
	fails("(ResourceInUse)", "delete-service", "--id", id)

	// A user who may register instances of this service, and nothing else.
	in.aws(admin, "iam", "create-user", "--user-name", "registrar")
	key := in.aws(admin, "iam", "create-access-key", "--user-name", "registrar")["AccessKey"].(map[string]any)
	registrar := identity{id: key["AccessKeyId"].(string), secret: key["SecretAccessKey"].(string)}
	in.aws(admin, "iam", "put-user-policy", "--user-name", "registrar", "--policy-name", "p", "--policy-document",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["servicediscovery:RegisterInstance","servicediscovery:DeregisterInstance"],"Resource":"*","Condition":{"StringEquals":{"servicediscovery:ServiceArn":"`+service["Arn"].(string)+`"}}}}`)
	in.aws(registrar, "servicediscovery", "register-instance", "--service-id", id, "--instance-id", "i4", "--attributes", "AWS_INSTANCE_IPV4=10.0.0.4")
	mustContain(t, "a denial", in.awsFails(registrar, "servicediscovery", "get-service", "--id", id),
		"(AccessDeniedException)", "is not authorized to perform: servicediscovery:GetService on resource: "+service["Arn"].(string))

	for _, instance := range []string{"i1", "i2", "i3", "i4"} {
		if got := target(call("deregister-instance", "--service-id", id, "--instance-id", instance), "INSTANCE"); got != instance {
			t.Errorf("deregistered %s", got)
		}
	}
	call("delete-service", "--id", id)
	target(call("delete-namespace", "--id", namespace), "NAMESPACE")
}

func cloudMapWithBoto(t *testing.T, in *installation, admin identity) {
	const script = `
import boto3
sd = boto3.client("servicediscovery")
def done(answer, kind):
    o = sd.get_operation(OperationId=answer["OperationId"])["Operation"]
    assert o["Status"] == "SUCCESS" and o["CreateDate"].year >= 2020, o
    return o["Targets"][kind]
ns = done(sd.create_http_namespace(Name="boto", CreatorRequestId="once"), "NAMESPACE")
assert done(sd.create_http_namespace(Name="boto", CreatorRequestId="once"), "NAMESPACE") == ns
n = sd.get_namespace(Id=ns)["Namespace"]
assert n["Properties"]["HttpProperties"]["HttpName"] == "boto" and n["CreateDate"].year >= 2020 and n["ServiceCount"] == 0, n
def fails(kind, call, **kw):
    try:
        call(**kw)
    except kind as e:
        return e.response
    raise AssertionError("succeeded")
x = sd.exceptions
e = fails(x.NamespaceAlreadyExists, sd.create_http_namespace, Name="boto", CreatorRequestId="other")
assert e["NamespaceId"] == ns and e["CreatorRequestId"] == "once" and e["ResponseMetadata"]["HTTPStatusCode"] == 400, e
srv = sd.create_service(Name="colors", NamespaceId=ns, HealthCheckCustomConfig={})["Service"]
e = fails(x.ServiceAlreadyExists, sd.create_service, Name="colors", NamespaceId=ns)
assert e["ServiceId"] == srv["Id"], e
fails(x.NamespaceNotFound, sd.get_namespace, Id="ns-none")
fails(x.ServiceNotFound, sd.list_instances, ServiceId="srv-none")
fails(x.OperationNotFound, sd.get_operation, OperationId="none")
fails(x.InvalidInput, sd.register_instance, ServiceId=srv["Id"], InstanceId="i", Attributes={"AWS_INSTANCE_PORT": "http"})
for i in range(3):
    done(sd.register_instance(ServiceId=srv["Id"], InstanceId="i%d" % i, Attributes={"AWS_INSTANCE_IPV4": "10.0.0.%d" % i, "v": str(i)}), "INSTANCE")
sd.update_instance_custom_health_status(ServiceId=srv["Id"], InstanceId="i0", Status="UNHEALTHY")
assert sd.get_instances_health_status(ServiceId=srv["Id"])["Status"] == {"i0": "UNHEALTHY", "i1": "HEALTHY", "i2": "HEALTHY"}
d = sd.discover_instances(NamespaceName="boto", ServiceName="colors", QueryParameters={"v": "1"})
assert d["Instances"] == [{"InstanceId": "i1", "NamespaceName": "boto", "ServiceName": "colors", "HealthStatus": "HEALTHY", "Attributes": {"AWS_INSTANCE_IPV4": "10.0.0.1", "v": "1"}}] and d["InstancesRevision"] == 3, d
assert sd.discover_instances_revision(NamespaceName="boto", ServiceName="colors")["InstancesRevision"] == 3
pages = sd.get_paginator("list_instances").paginate(ServiceId=srv["Id"], PaginationConfig={"PageSize": 2})
assert [[i["Id"] for i in p["Instances"]] for p in pages] == [["i0", "i1"], ["i2"]]
assert len(sd.list_operations(Filters=[{"Name": "TYPE", "Values": ["REGISTER_INSTANCE"]}, {"Name": "SERVICE_ID", "Values": [srv["Id"]]}])["Operations"]) == 3
sd.tag_resource(ResourceARN=srv["Arn"], Tags=[{"Key": "a", "Value": "1"}])
assert sd.list_tags_for_resource(ResourceARN=srv["Arn"])["Tags"] == [{"Key": "a", "Value": "1"}]
fails(x.ResourceNotFoundException, sd.list_tags_for_resource, ResourceARN=srv["Arn"] + "x")
fails(x.ResourceInUse, sd.delete_service, Id=srv["Id"])
for i in range(3):
    done(sd.deregister_instance(ServiceId=srv["Id"], InstanceId="i%d" % i), "INSTANCE")
sd.delete_service(Id=srv["Id"])
done(sd.delete_namespace(Id=ns), "NAMESPACE")
`
	file := filepath.Join(t.TempDir(), "cloudmap.py")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	_, errs, code := in.execute(in.onDataHost(admin), filepath.Join(tools, "boto3", "bin", "python"), file)
	if code != 0 {
		t.Errorf("boto3: exit %d\n%s", code, errs)
	}
}
