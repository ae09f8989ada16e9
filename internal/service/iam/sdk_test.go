package iam

import (
	"errors"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/google/go-cmp/cmp"
)

// The unmodified SDK reads the answers: documents, pages, waiters and errors.
func TestWithTheSDK(t *testing.T) {
	w := newWorld(t, Quotas{})
	server := httptest.NewServer(w.api)
	defer server.Close()
	ctx := t.Context()
	client := awsiam.New(awsiam.Options{
		Region: "eu-west-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("AKIA", "x", ""),
	})
	role, err := client.CreateRole(ctx, &awsiam.CreateRoleInput{
		RoleName: aws.String("App"), AssumeRolePolicyDocument: aws.String(trustDoc),
		Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if *role.Role.Arn != w.arn("role/App") || !role.Role.CreateDate.Equal(now) || len(role.Role.Tags) != 1 {
		t.Errorf("%+v", role.Role)
	}
	if err := awsiam.NewRoleExistsWaiter(client).Wait(ctx, &awsiam.GetRoleInput{RoleName: aws.String("App")}, time.Second); err != nil {
		t.Error(err)
	}
	if _, err := client.PutRolePolicy(ctx, &awsiam.PutRolePolicyInput{RoleName: aws.String("App"), PolicyName: aws.String("p"), PolicyDocument: aws.String(identityDoc)}); err != nil {
		t.Fatal(err)
	}
	got, err := client.GetRolePolicy(ctx, &awsiam.GetRolePolicyInput{RoleName: aws.String("App"), PolicyName: aws.String("p")})
	if err != nil {
		t.Fatal(err)
	}
	if document, err := url.QueryUnescape(*got.PolicyDocument); err != nil || document != identityDoc {
		t.Errorf("%s %v", document, err)
	}
	for _, name := range []string{"a", "b", "c"} {
		if _, err := client.CreateUser(ctx, &awsiam.CreateUserInput{UserName: &name}); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for pages := awsiam.NewListUsersPaginator(client, &awsiam.ListUsersInput{MaxItems: aws.Int32(1)}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range page.Users {
			names = append(names, *u.UserName)
		}
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, names); diff != "" {
		t.Error(diff)
	}
	_, err = client.DeleteRole(ctx, &awsiam.DeleteRoleInput{RoleName: aws.String("App")})
	if conflict, ok := errors.AsType[*types.DeleteConflictException](err); !ok || conflict.ErrorMessage() != "Cannot delete entity, must delete policies first." {
		t.Error(err)
	}
	_, err = client.GetUser(ctx, &awsiam.GetUserInput{UserName: aws.String("nobody")})
	if _, ok := errors.AsType[*types.NoSuchEntityException](err); !ok {
		t.Error(err)
	}
}
