package model

import "testing"

func TestAccessKeyIDs(t *testing.T) {
	for _, account := range []string{"000000000000", "000000000001", "123456789012", "999999999999"} {
		for _, kind := range []string{LongTermKey, TemporaryKey} {
			seen := map[string]bool{}
			for range 100 {
				id, err := NewAccessKeyID(kind, account)
				if err != nil {
					t.Fatal(err)
				}
				if got, ok := AccessKeyAccount(id); !ok || got != account || len(id) != 20 || id[:4] != kind {
					t.Fatalf("%s holds account %s %t, want %s", id, got, ok, account)
				}
				if seen[id] {
					t.Fatalf("%s came twice", id)
				}
				seen[id] = true
			}
		}
	}
	if _, err := NewAccessKeyID(LongTermKey, "9999999999999999"); err == nil {
		t.Error("an account of 16 digits got a key")
	}
}

func TestAccessKeyAccount(t *testing.T) {
	for id, want := range map[string]string{
		"ASIAQAAAAAAAAAAAAAAA": "000000000000",
		"AKIAQAAAAAAAQAAAAAAA": "000000000001",
		// A key of AWS's own making that was published with its account.
		"ASIAY34FZKBOKMUTVV7A":  "609629065308",
		"AKIAIOSFODNN7EXAMPLE":  "",
		"AKIAQAAAAAAAAAAAAAAA1": "",
		"AKIAq234567890123456":  "",
		"AKIA7777777777777777":  "", // past twelve digits
		"":                      "",
	} {
		if got, ok := AccessKeyAccount(id); got != want || ok != (want != "") {
			t.Errorf("%q: %q %t, want %q", id, got, ok, want)
		}
	}
}

func TestAccountOf(t *testing.T) {
	const account = "000000000001"
	scope := Scope{Partition: "aws", Account: account, Region: "us-west-2"}
	id, err := NewAccessKeyID(LongTermKey, account)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		AccessKeys.Key(id):                     account,
		AccessKeys.Key("AKIAIOSFODNN7EXAMPLE"): "",
		AccountInfo.Key(account):               account,
		Users.Key(IAMKey(account, "alice")):    account,
		Services.Key(scope.Key("svc-1")):       account,
		Rules.Key(scope.Key("a", "b", "c")):    account,
		Tokens.Key("0123456789abcdef"):         "",
		"":                                     "",
	} {
		if got := AccountOf(key); got != want {
			t.Errorf("%s is of account %q, want %q", key, got, want)
		}
	}
}
