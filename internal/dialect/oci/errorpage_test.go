// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"claviger/internal/dialect"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// neverAnswered is what Oracle's page of errors and its SDKs have beside what is provoked below, and
// why no request gets it.
var neverAnswered = map[string]string{
	"400 QuotaExceeded":                  "there are no quotas of compartments",
	"400 InsufficientServicePermissions": "of other services",
	"400 ResourceDisabled":               "of other services",
	"402 SignUpRequired":                 "every tenancy has the service",
	"403 SignUpRequired":                 "every tenancy has the service",
	"403 NotAuthorized":                  "who may not change something is told 404: that it is there is nothing for strangers",
	"404 InvalidParameter":               "a name in the path that is none is 404 NotAuthorizedOrNotFound, as one that nothing has",
	"409 LockConflict":                   "nothing can be locked, and clients would retry it",
	"409 ResourceLocked":                 "nothing can be locked",
	"409 ExternalServerIncorrectState":   "there are no key managers of third parties",
	"422 UnprocessableEntity":            "what can be read and is wrong is 400 InvalidParameter",
	"431 RequestHeaderFieldsTooLarge":    "the HTTP server refuses such requests before they are anybody's, in its own form",
	"500 InternalError":                  "the code here is InternalServerError",
	"502 BadGateway":                     "a proxy's to say",
	"504 GatewayTimeout":                 "a proxy's to say",
}

// oraclesErrors lists the statuses and codes of Oracle's page of errors, and those that its SDKs know.
func oraclesErrors() []string {
	return strings.Split(`400 CannotParseRequest|400 InvalidParameter|400 MissingParameter|400 LimitExceeded|400 QuotaExceeded|
400 RelatedResourceNotAuthorizedOrNotFound|400 InsufficientServicePermissions|400 ResourceDisabled|400 UnmatchedContentMD5|
401 NotAuthenticated|402 SignUpRequired|403 SignUpRequired|403 NotAuthorized|403 NotAllowed|404 NotAuthorizedOrNotFound|
404 NotFound|404 InvalidParameter|405 MethodNotAllowed|409 Conflict|409 IncorrectState|409 LockConflict|409 ResourceLocked|
409 InvalidatedRetryToken|409 NotAuthorizedOrResourceAlreadyExists|409 ExternalServerIncorrectState|412 NoEtagMatch|
413 RequestEntityTooLarge|422 UnprocessableEntity|429 TooManyRequests|431 RequestHeaderFieldsTooLarge|
500 InternalServerError|500 InternalError|501 MethodNotImplemented|502 BadGateway|503 ServiceUnavailable|504 GatewayTimeout`, "|")
}

// crowded gives vaults endpoints until it is full.
type crowded struct {
	given atomic.Int64
	full  atomic.Bool
}

func (e *crowded) Reserve(context.Context, keys.ID) (string, error) {
	if e.full.Load() {
		return "", errors.New("every port is taken")
	}
	return fmt.Sprint(e.given.Add(1)), nil
}

func (e *crowded) Claim(ctx context.Context, vault keys.ID, _ string) (string, error) {
	return e.Reserve(ctx, vault)
}
func (*crowded) Release(string)                  {}
func (*crowded) Open(*keys.Vault) error          { return nil }
func (*crowded) Close(*keys.Vault)               {}
func (*crowded) OpenReplica(*keys.Replica) error { return nil }
func (*crowded) CloseReplica(*keys.Replica)      {}

// errorPage is where errors are provoked.
type errorPage struct {
	*rig
	key, other map[string]any
	vault, url string
	broken     atomic.Bool // endpoints have no URL
	crowd      *crowded
}

func newErrorPage(t *testing.T) *errorPage {
	p := &errorPage{crowd: &crowded{}}
	w := kmstest.New(t, kmstest.TwoRegions(), kmstest.With(func(c *kms.Config) { c.Endpoints = p.crowd }))
	p.rig = newRigOn(t, w, func(c *Config) {
		url := c.VaultURL
		c.VaultURL = func(v *keys.Vault) string {
			if p.broken.Load() {
				panic("secret detail")
			}
			return url(v)
		}
	})
	p.key, p.other = p.newKey(t, p.Tenant, "AES", 32), p.newKey(t, p.Tenant, "RSA", 256)
	p.vault, p.url = p.region.URL+"/20180608/vaults", p.rig.vault(p.Tenant)+"/20180608/"
	return p
}

func (p *errorPage) keyURL() string { return p.url + "keys/" + p.key["id"].(string) }

// do is a call of the first tenant's administrator.
func (p *errorPage) do(t *testing.T, method, url string, body any, header ...string) reply {
	t.Helper()
	return p.call(t, p.Tenant, method, url, body, header...)
}

// provocations are requests that get each of the errors.
func provocations() map[string]func(*testing.T, *errorPage) reply {
	newVault := func(p *errorPage) map[string]any {
		return map[string]any{"compartmentId": p.Tenant.Names[Name], "displayName": "v", "vaultType": "DEFAULT"}
	}
	upload := func(t *testing.T, p *errorPage, header ...string) reply {
		p.do(t, "POST", p.keyURL()+"/actions/backup", map[string]any{"backupLocation": bucket("page")}).object(t)
		return p.do(t, "POST", p.url+"keys/actions/restoreFromFile", string(p.object(t, "page")), header...)
	}
	return map[string]func(*testing.T, *errorPage) reply{
		"400 CannotParseRequest": func(t *testing.T, p *errorPage) reply { return p.do(t, "POST", p.vault, `{"displayName":`) },
		"400 InvalidParameter":   func(t *testing.T, p *errorPage) reply { return p.do(t, "POST", p.vault, `{"vaultType":"x"}`) },
		"400 MissingParameter":   func(t *testing.T, p *errorPage) reply { return p.do(t, "GET", p.vault, nil) },
		"400 LimitExceeded": func(t *testing.T, p *errorPage) reply {
			p.crowd.full.Store(true)
			defer p.crowd.full.Store(false)
			return p.do(t, "POST", p.vault, newVault(p))
		},
		"400 RelatedResourceNotAuthorizedOrNotFound": func(t *testing.T, p *errorPage) reply {
			return p.do(t, "POST", p.keyURL()+"/actions/changeCompartment", map[string]any{"compartmentId": p.Other.Names[Name]})
		},
		"400 UnmatchedContentMD5": func(t *testing.T, p *errorPage) reply { return upload(t, p, "Content-Md5", sumOf([]byte("x"))) },
		"401 NotAuthenticated": func(t *testing.T, p *errorPage) reply {
			req := p.signer(p.Tenant).request(t, p.Clock.Now().Add(-6*time.Minute), "GET", p.keyURL(), http.Header{}, nil)
			return send(t, req)
		},
		"403 NotAllowed": func(t *testing.T, p *errorPage) reply {
			replica := p.replicate(t)
			return p.do(t, "POST", replica["managementEndpoint"].(string)+"/20180608/keys/"+p.key["id"].(string)+"/actions/disable", nil)
		},
		"404 NotAuthorizedOrNotFound": func(t *testing.T, p *errorPage) reply { return p.call(t, p.Other, "GET", p.keyURL(), nil) },
		"404 NotFound":                func(t *testing.T, p *errorPage) reply { return p.do(t, "GET", p.url+"locks", nil) },
		"405 MethodNotAllowed":        func(t *testing.T, p *errorPage) reply { return p.do(t, "DELETE", p.keyURL(), nil) },
		"409 Conflict":                func(t *testing.T, p *errorPage) reply { return p.do(t, "POST", p.keyURL()+"/actions/enable", nil) },
		"409 IncorrectState": func(t *testing.T, _ *errorPage) reply {
			r := newRig(t, cloudlike(7))
			url := r.vault(r.Tenant) + "/20180608/keys"
			made := r.call(t, r.Tenant, "POST", url, map[string]any{
				"compartmentId": r.Tenant.Names[Name], "displayName": "k", "keyShape": map[string]any{"algorithm": "AES", "length": 32},
			}).object(t)
			return r.call(t, r.Tenant, "POST", url+"/"+made["id"].(string)+"/actions/disable", nil)
		},
		"409 InvalidatedRetryToken": func(t *testing.T, p *errorPage) reply {
			first := newVault(p)
			p.do(t, "POST", p.vault, first, "Opc-Retry-Token", "page").object(t)
			first["displayName"] = "w"
			return p.do(t, "POST", p.vault, first, "Opc-Retry-Token", "page")
		},
		"409 NotAuthorizedOrResourceAlreadyExists": func(t *testing.T, p *errorPage) reply { return upload(t, p) },
		"412 NoEtagMatch": func(t *testing.T, p *errorPage) reply {
			return p.do(t, "PUT", p.keyURL(), `{"displayName":"x"}`, "If-Match", strings.Repeat("0", 40))
		},
		"413 RequestEntityTooLarge": func(t *testing.T, p *errorPage) reply {
			return p.do(t, "PUT", p.keyURL(), `{"displayName":"`+strings.Repeat("x", maxBody)+`"}`)
		},
		"429 TooManyRequests": func(t *testing.T, p *errorPage) reply {
			now := p.Clock.Now()
			r := newRigOn(t, p.World, func(c *Config) {
				c.Limiter = dialect.NewLimiter(func() time.Time { return now }, map[string]float64{mgmtRead: 1})
			})
			url := r.vault(r.Tenant) + "/20180608/keys/" + p.key["id"].(string)
			r.call(t, r.Tenant, "GET", url, nil).object(t)
			got := r.call(t, r.Tenant, "GET", url, nil)
			if got.header.Get("Retry-After") != "1" {
				t.Errorf("throttled, to be retried after %q", got.header.Get("Retry-After"))
			}
			return got
		},
		"500 InternalServerError": func(t *testing.T, p *errorPage) reply {
			p.broken.Store(true)
			defer p.broken.Store(false)
			return p.do(t, "GET", p.vault+"?compartmentId="+p.Tenant.Names[Name], nil)
		},
		"501 MethodNotImplemented": func(t *testing.T, p *errorPage) reply {
			return p.do(t, "GET", p.region.URL+"/20180608/hsmClusters", nil)
		},
		"503 ServiceUnavailable": func(t *testing.T, p *errorPage) reply {
			p.Audit.Fail(errors.New("disk full"))
			defer p.Audit.Fail(nil)
			return p.do(t, "GET", p.keyURL(), nil)
		},
	}
}

// Every error of Oracle's page is provoked once, or said never to be answered. Each has the code and
// a message and nothing else in its body, JSON as its type, the client's request id within its own,
// a date, and a time to wait only where that is over by itself.
func TestEveryErrorOfThePage(t *testing.T) {
	t.Parallel()
	p := newErrorPage(t)
	all := provocations()
	answered := map[string]bool{}
	for _, r := range errorTable {
		answered[fmt.Sprint(r.status, " ", r.code)] = true
	}
	for _, name := range oraclesErrors() {
		name = strings.TrimSpace(name)
		provoke, can := all[name]
		delete(all, name)
		reason := neverAnswered[name]
		if can == (reason != "") {
			t.Errorf("%s is to be provoked or has a reason not to be, one of the two", name)
		}
		if can != answered[name] {
			t.Errorf("%s is provoked: %t, in the table: %t", name, can, answered[name])
		}
		if !can {
			continue
		}
		got := provoke(t, p)
		if refusal := got.refusal(t); refusal != name {
			t.Errorf("%s: answered %s %s, hint %q", name, refusal, got.body, got.hint())
		}
		if waits := got.header.Get("Retry-After") != ""; waits != (got.status == http.StatusTooManyRequests) {
			t.Errorf("%s: Retry-After %q", name, got.header.Get("Retry-After"))
		}
		if ids := strings.Split(got.header.Get("Opc-Request-Id"), "/"); len(ids) < 2 || len(ids[len(ids)-1]) != 32 {
			t.Errorf("%s: request id %q", name, got.header.Get("Opc-Request-Id"))
		}
		if got.header.Get("Etag") != "" || strings.Contains(string(got.body), "secret") {
			t.Errorf("%s: %s %v", name, got.body, got.header)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Errorf("%s is provoked and on no page", name)
	}
}
