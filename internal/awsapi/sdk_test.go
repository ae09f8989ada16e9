package awsapi_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdkmesh "github.com/aws/aws-sdk-go-v2/service/appmesh"
	meshtypes "github.com/aws/aws-sdk-go-v2/service/appmesh/types"
	sdkiam "github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	sdksts "github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	sdklattice "github.com/aws/aws-sdk-go-v2/service/vpclattice"
	latticetypes "github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/wire"
	"github.com/latchwork/latchwork/internal/wire/appmesh"
	"github.com/latchwork/latchwork/internal/wire/iam"
	"github.com/latchwork/latchwork/internal/wire/sts"
	"github.com/latchwork/latchwork/internal/wire/vpclattice"
)

// awsConfig points the AWS SDK at h.
func awsConfig(t *testing.T, h *harness) aws.Config {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return aws.Config{
		Region:       "us-west-2",
		BaseEndpoint: &server.URL,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"}, nil
		}),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
}

// latticeStub answers a few operations from what it was asked.
type latticeStub struct {
	vpclattice.Handler
	got any
}

func (s *latticeStub) CreateRule(_ context.Context, in *vpclattice.CreateRuleRequest) (*vpclattice.CreateRuleResponse, error) {
	s.got = in
	return &vpclattice.CreateRuleResponse{
		Arn: in.ListenerIdentifier, Name: in.Name, Priority: in.Priority, Match: in.Match, Action: in.Action,
	}, nil
}

func (s *latticeStub) GetService(_ context.Context, in *vpclattice.GetServiceRequest) (*vpclattice.GetServiceResponse, error) {
	s.got = in
	return &vpclattice.GetServiceResponse{CreatedAt: wire.At(now), Name: new("s")}, nil
}

func (s *latticeStub) UntagResource(_ context.Context, in *vpclattice.UntagResourceRequest) (*vpclattice.UntagResourceResponse, error) {
	s.got = in
	return nil, nil
}

func (s *latticeStub) DeleteAuthPolicy(_ context.Context, in *vpclattice.DeleteAuthPolicyRequest) (*vpclattice.DeleteAuthPolicyResponse, error) {
	s.got = in
	return nil, nil
}

func (s *latticeStub) DeleteTargetGroup(context.Context, *vpclattice.DeleteTargetGroupRequest) (*vpclattice.DeleteTargetGroupResponse, error) {
	return nil, &fault.Error{Code: "ConflictException", Message: "in use", ResourceID: "tg-1", ResourceType: "TARGET_GROUP"}
}

func (s *latticeStub) ListTargets(_ context.Context, in *vpclattice.ListTargetsRequest) (*vpclattice.ListTargetsResponse, error) {
	s.got = in
	return &vpclattice.ListTargetsResponse{}, nil
}

const (
	serviceARN  = "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-0123456789abcdef0"
	listenerARN = serviceARN + "/listener/listener-0123456789abcdef0"
	groupID     = "tg-0123456789abcdef0"
)

func TestLatticeSDK(t *testing.T) {
	stub := &latticeStub{Handler: vpclattice.Unimplemented{}}
	client := sdklattice.NewFromConfig(awsConfig(t, newHarness(t, allowAll, nil, exempt(vpclattice.Bind(stub, nil)))))
	ctx := t.Context()

	rule, err := client.CreateRule(ctx, &sdklattice.CreateRuleInput{
		ServiceIdentifier:  aws.String(serviceARN),
		ListenerIdentifier: aws.String(listenerARN),
		Name:               aws.String("my-rule"),
		Priority:           aws.Int32(7),
		ClientToken:        aws.String("t"),
		Tags:               map[string]string{"a": "", "b": "ü"},
		Match: &latticetypes.RuleMatchMemberHttpMatch{Value: latticetypes.HttpMatch{
			Method: aws.String("GET"),
			PathMatch: &latticetypes.PathMatch{
				Match:         &latticetypes.PathMatchTypeMemberPrefix{Value: "/rates"},
				CaseSensitive: aws.Bool(false),
			},
		}},
		Action: &latticetypes.RuleActionMemberForward{Value: latticetypes.ForwardAction{
			TargetGroups: []latticetypes.WeightedTargetGroup{{TargetGroupIdentifier: aws.String(groupID), Weight: aws.Int32(0)}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &vpclattice.CreateRuleRequest{
		ServiceIdentifier:  new(serviceARN),
		ListenerIdentifier: new(listenerARN),
		Name:               new("my-rule"),
		Priority:           new(int64(7)),
		ClientToken:        new("t"),
		Tags:               map[string]string{"a": "", "b": "ü"},
		Match: &vpclattice.RuleMatch{HttpMatch: &vpclattice.HttpMatch{
			Method:    new("GET"),
			PathMatch: &vpclattice.PathMatch{Match: &vpclattice.PathMatchType{Prefix: new("/rates")}, CaseSensitive: new(false)},
		}},
		Action: &vpclattice.RuleAction{Forward: &vpclattice.ForwardAction{
			TargetGroups: []vpclattice.WeightedTargetGroup{{TargetGroupIdentifier: new(groupID), Weight: new(int64(0))}},
		}},
	}
	if diff := cmp.Diff(want, stub.got); diff != "" {
		t.Errorf("input (-want +got):\n%s", diff)
	}
	forward, ok := rule.Action.(*latticetypes.RuleActionMemberForward)
	if !ok || *forward.Value.TargetGroups[0].Weight != 0 || *rule.Priority != 7 {
		t.Errorf("output %+v", rule)
	}

	service, err := client.GetService(ctx, &sdklattice.GetServiceInput{ServiceIdentifier: aws.String(serviceARN)})
	if err != nil || !service.CreatedAt.Equal(now) {
		t.Errorf("GetService: %+v, %v", service, err)
	}
	if _, err := client.UntagResource(ctx, &sdklattice.UntagResourceInput{
		ResourceArn: aws.String(serviceARN), TagKeys: []string{"a b", "c/d&e"},
	}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(&vpclattice.UntagResourceRequest{ResourceArn: new(serviceARN), TagKeys: []string{"a b", "c/d&e"}}, stub.got); diff != "" {
		t.Errorf("input (-want +got):\n%s", diff)
	}
	if _, err := client.DeleteAuthPolicy(ctx, &sdklattice.DeleteAuthPolicyInput{ResourceIdentifier: aws.String(serviceARN)}); err != nil {
		t.Error(err)
	}
	targets, err := client.ListTargets(ctx, &sdklattice.ListTargetsInput{TargetGroupIdentifier: aws.String(groupID), MaxResults: aws.Int32(3)})
	if err != nil || targets.Items == nil {
		t.Errorf("ListTargets: %+v, %v; a list must be there even if it is empty", targets, err)
	}

	_, err = client.DeleteTargetGroup(ctx, &sdklattice.DeleteTargetGroupInput{TargetGroupIdentifier: aws.String(groupID)})
	var conflict *latticetypes.ConflictException
	if !errors.As(err, &conflict) || *conflict.ResourceId != "tg-1" || *conflict.ResourceType != "TARGET_GROUP" || *conflict.Message != "in use" {
		t.Errorf("DeleteTargetGroup: %v", err)
	}
	_, err = client.CreateService(ctx, &sdklattice.CreateServiceInput{Name: aws.String("svc-bad--name"), AuthType: "SOME"})
	var invalid *latticetypes.ValidationException
	if !errors.As(err, &invalid) || invalid.Reason != latticetypes.ValidationExceptionReasonFieldValidationFailed || len(invalid.FieldList) != 2 {
		t.Errorf("CreateService: %v", err)
	} else if *invalid.FieldList[0].Name != "authType" || *invalid.FieldList[1].Name != "name" {
		t.Errorf("fields %+v", invalid.FieldList)
	}
}

type meshStub struct {
	appmesh.Handler
	got any
}

func (s *meshStub) CreateVirtualNode(_ context.Context, in *appmesh.CreateVirtualNodeRequest) (*appmesh.CreateVirtualNodeResponse, error) {
	s.got = in
	return &appmesh.CreateVirtualNodeResponse{VirtualNode: &appmesh.VirtualNodeData{
		MeshName: in.MeshName, VirtualNodeName: in.VirtualNodeName, Spec: in.Spec,
		Metadata: &appmesh.ResourceMetadata{CreatedAt: wire.Epoch(now.Add(266 * time.Millisecond)), Version: new(int64(1))},
		Status:   &appmesh.VirtualNodeStatus{Status: new(appmesh.VirtualNodeStatusCodeActive)},
	}}, nil
}

func (s *meshStub) DescribeMesh(context.Context, *appmesh.DescribeMeshRequest) (*appmesh.DescribeMeshResponse, error) {
	return nil, fault.New("NotFoundException", "there is no such mesh")
}

func TestMeshSDK(t *testing.T) {
	stub := &meshStub{Handler: appmesh.Unimplemented{}}
	client := sdkmesh.NewFromConfig(awsConfig(t, newHarness(t, allowAll, nil, exempt(appmesh.Bind(stub, nil)))))
	ctx := t.Context()

	spec := &meshtypes.VirtualNodeSpec{
		Backends:  []meshtypes.Backend{},
		Listeners: []meshtypes.Listener{{PortMapping: &meshtypes.PortMapping{Port: aws.Int32(80), Protocol: "http"}}},
	}
	node, err := client.CreateVirtualNode(ctx, &sdkmesh.CreateVirtualNodeInput{
		MeshName: aws.String("m"), MeshOwner: aws.String(account), VirtualNodeName: aws.String("n"), Spec: spec, ClientToken: aws.String("t"),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &appmesh.CreateVirtualNodeRequest{
		MeshName: new("m"), MeshOwner: new(account), VirtualNodeName: new("n"), ClientToken: new("t"),
		Spec: &appmesh.VirtualNodeSpec{
			Backends:  []appmesh.Backend{},
			Listeners: []appmesh.Listener{{PortMapping: &appmesh.PortMapping{Port: new(int64(80)), Protocol: new("http")}}},
		},
	}
	if diff := cmp.Diff(want, stub.got); diff != "" {
		t.Errorf("input (-want +got):\n%s", diff)
	}
	if got := node.VirtualNode.Metadata.CreatedAt; !got.Equal(now.Add(266 * time.Millisecond)) {
		t.Errorf("createdAt = %v", got)
	}
	if node.VirtualNode.Spec.Backends == nil || node.VirtualNode.Spec.BackendDefaults != nil {
		t.Errorf("the spec was not echoed as written: %+v", node.VirtualNode.Spec)
	}
	_, err = client.DescribeMesh(ctx, &sdkmesh.DescribeMeshInput{MeshName: aws.String("m")})
	var missing *meshtypes.NotFoundException
	if !errors.As(err, &missing) {
		t.Errorf("DescribeMesh: %v", err)
	}
}

type iamStub struct {
	iam.Handler
	got any
}

const document = `{"Version":"2012-10-17", "x":"%3A + é"}`

func (s *iamStub) CreateRole(_ context.Context, in *iam.CreateRoleRequest) (*iam.CreateRoleResponse, error) {
	s.got = in
	return &iam.CreateRoleResponse{Role: &iam.Role{
		RoleName: in.RoleName, AssumeRolePolicyDocument: in.AssumeRolePolicyDocument, CreateDate: wire.At(now), Tags: in.Tags,
	}}, nil
}

func (s *iamStub) ListUsers(context.Context, *iam.ListUsersRequest) (*iam.ListUsersResponse, error) {
	return &iam.ListUsersResponse{IsTruncated: new(false)}, nil
}

func (s *iamStub) GetAccountSummary(context.Context, *iam.GetAccountSummaryRequest) (*iam.GetAccountSummaryResponse, error) {
	return &iam.GetAccountSummaryResponse{SummaryMap: map[string]int64{"Users": 3, "Groups": 0}}, nil
}

func (s *iamStub) DeleteUser(context.Context, *iam.DeleteUserRequest) (*iam.DeleteUserResponse, error) {
	return nil, nil
}

func (s *iamStub) GetUser(context.Context, *iam.GetUserRequest) (*iam.GetUserResponse, error) {
	return nil, fault.New("NoSuchEntity", "The user with name <x> & cannot be found.")
}

func (s *iamStub) CreateAccessKey(context.Context, *iam.CreateAccessKeyRequest) (*iam.CreateAccessKeyResponse, error) {
	return &iam.CreateAccessKeyResponse{AccessKey: &iam.AccessKey{SecretAccessKey: new(wire.Secret("s3cr3t"))}}, nil
}

func TestIAMSDK(t *testing.T) {
	stub := &iamStub{Handler: iam.Unimplemented{}}
	client := sdkiam.NewFromConfig(awsConfig(t, newHarness(t, allowAll, nil, exempt(iam.Bind(stub, nil)))))
	ctx := t.Context()

	role, err := client.CreateRole(ctx, &sdkiam.CreateRoleInput{
		RoleName: aws.String("r"), AssumeRolePolicyDocument: aws.String(document), MaxSessionDuration: aws.Int32(3600),
		Tags: []iamtypes.Tag{{Key: aws.String("k"), Value: aws.String("")}, {Key: aws.String("l"), Value: aws.String("a+b c")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &iam.CreateRoleRequest{
		RoleName: new("r"), AssumeRolePolicyDocument: new(document), MaxSessionDuration: new(int64(3600)),
		Tags: []iam.Tag{{Key: new("k"), Value: new("")}, {Key: new("l"), Value: new("a+b c")}},
	}
	if diff := cmp.Diff(want, stub.got); diff != "" {
		t.Errorf("input (-want +got):\n%s", diff)
	}
	if got, err := url.PathUnescape(*role.Role.AssumeRolePolicyDocument); err != nil || got != document {
		t.Errorf("document %q, %v", got, err)
	}
	if !role.Role.CreateDate.Equal(now) || len(role.Role.Tags) != 2 {
		t.Errorf("role %+v", role.Role)
	}
	users, err := client.ListUsers(ctx, &sdkiam.ListUsersInput{})
	if err != nil || users.Users == nil || users.IsTruncated {
		t.Errorf("ListUsers: %+v, %v", users, err)
	}
	summary, err := client.GetAccountSummary(ctx, &sdkiam.GetAccountSummaryInput{})
	if err != nil {
		t.Error(err)
	} else if diff := cmp.Diff(map[string]int32{"Users": 3, "Groups": 0}, summary.SummaryMap); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if _, err := client.DeleteUser(ctx, &sdkiam.DeleteUserInput{UserName: aws.String("u")}); err != nil {
		t.Error(err)
	}
	key, err := client.CreateAccessKey(ctx, &sdkiam.CreateAccessKeyInput{})
	if err != nil || *key.AccessKey.SecretAccessKey != "s3cr3t" {
		t.Errorf("CreateAccessKey: %+v, %v", key, err)
	}
	_, err = client.GetUser(ctx, &sdkiam.GetUserInput{UserName: aws.String("x")})
	var missing *iamtypes.NoSuchEntityException
	if !errors.As(err, &missing) || missing.ErrorMessage() != "The user with name <x> & cannot be found." {
		t.Errorf("GetUser: %v", err)
	}
	_, err = client.CreateGroup(ctx, &sdkiam.CreateGroupInput{GroupName: aws.String("bad name")})
	var invalid smithy.APIError
	const text = `1 validation error detected: Value 'bad name' at 'groupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]+`
	if !errors.As(err, &invalid) || invalid.ErrorCode() != "ValidationError" || invalid.ErrorMessage() != text {
		t.Errorf("CreateGroup: %v", err)
	}
}

type stsStub struct {
	sts.Handler
	got any
}

func (s *stsStub) AssumeRole(_ context.Context, in *sts.AssumeRoleRequest) (*sts.AssumeRoleResponse, error) {
	s.got = in
	return &sts.AssumeRoleResponse{Credentials: &sts.Credentials{
		AccessKeyId: new("ASIA"), SecretAccessKey: new(wire.Secret("k")), SessionToken: new("t"), Expiration: wire.At(now),
	}}, nil
}

func (s *stsStub) AssumeRoleWithWebIdentity(_ context.Context, in *sts.AssumeRoleWithWebIdentityRequest) (*sts.AssumeRoleWithWebIdentityResponse, error) {
	s.got = in
	return nil, fault.New("ExpiredTokenException", "Token expired")
}

func TestSTSSDK(t *testing.T) {
	stub := &stsStub{Handler: sts.Unimplemented{}}
	client := sdksts.NewFromConfig(awsConfig(t, newHarness(t, allowAll, nil, exempt(sts.Bind(stub, nil)))))
	ctx := t.Context()

	out, err := client.AssumeRole(ctx, &sdksts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::123456789012:role/r"), RoleSessionName: aws.String("s1"),
		PolicyArns: []ststypes.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::aws:policy/P")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &sts.AssumeRoleRequest{
		RoleArn: new("arn:aws:iam::123456789012:role/r"), RoleSessionName: new("s1"),
		PolicyArns: []sts.PolicyDescriptorType{{Arn: new("arn:aws:iam::aws:policy/P")}},
	}
	if diff := cmp.Diff(want, stub.got); diff != "" {
		t.Errorf("input (-want +got):\n%s", diff)
	}
	if *out.Credentials.SecretAccessKey != "k" || !out.Credentials.Expiration.Equal(now) {
		t.Errorf("credentials %+v", out.Credentials)
	}
	_, err = client.AssumeRoleWithWebIdentity(ctx, &sdksts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String("arn:aws:iam::123456789012:role/r"), RoleSessionName: aws.String("s1"), WebIdentityToken: aws.String("abcd"),
	})
	var expired *ststypes.ExpiredTokenException
	if !errors.As(err, &expired) {
		t.Errorf("AssumeRoleWithWebIdentity: %v", err)
	}
}

// TestSTSInJSON: what Envoy asks for, and reads.
// Source: Envoy's metadata credentials providers, which parse these members.
func TestSTSInJSON(t *testing.T) {
	stub := &stsStub{Handler: sts.Unimplemented{}}
	h := newHarness(t, allowAll, nil, exempt(sts.Bind(stub, nil)), exempt(iam.Bind(everyIAM{iam.Unimplemented{}}, nil)))
	ask := func(accept, query string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "http://sts.us-east-1.amazonaws.com/", nil)
		r.RequestURI = "/?" + query
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261121/us-west-2/sts/aws4_request, SignedHeaders=host, Signature=00")
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	const role = "&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fr&RoleSessionName=s1"
	w := ask("application/json", "Action=AssumeRole"+role)
	want := `{"AssumeRoleResponse":{"AssumeRoleResult":{"Credentials":{"AccessKeyId":"ASIA","Expiration":1795255200,"SecretAccessKey":"k","SessionToken":"t"}},` +
		`"ResponseMetadata":{"RequestId":"` + header(w, "x-amzn-RequestId") + `"}}}`
	if w.Code != 200 || w.Body.String() != want || header(w, "Content-Type") != "application/json" {
		t.Errorf("%d %s\n%s\nwant\n%s", w.Code, header(w, "Content-Type"), w.Body, want)
	}
	w = ask("application/json", "Action=AssumeRoleWithWebIdentity&WebIdentityToken=abcd"+role)
	want = `{"Error":{"Code":"ExpiredTokenException","Message":"Token expired","Type":"Sender"},"RequestId":"` + header(w, "x-amzn-RequestId") + `"}`
	if w.Code != 400 || w.Body.String() != want || header(w, "Content-Type") != "application/json" {
		t.Errorf("%d %s\n%s\nwant\n%s", w.Code, header(w, "Content-Type"), w.Body, want)
	}
	for _, accept := range []string{"", "*/*", "text/xml", "application/xml, application/json", "application/json;;"} {
		if w := ask(accept, "Action=AssumeRole"+role); w.Code != 200 || !strings.HasPrefix(w.Body.String(), "<AssumeRoleResponse") {
			t.Errorf("Accept: %s gives %d %s", accept, w.Code, w.Body)
		}
	}
	if w := ask("application/json", "Action=GetUser&Version=2010-05-08"); !strings.HasPrefix(w.Body.String(), "<ErrorResponse") {
		t.Errorf("IAM answers %s", w.Body)
	}
}
