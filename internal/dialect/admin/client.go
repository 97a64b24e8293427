// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Client speaks the admin API of one server.
type Client struct {
	Endpoint string // base URL, without a path
	Token    string
	HTTP     *http.Client
}

// Refusal is an answer that is no success.
type Refusal struct {
	Status int
	Problem
}

// Error says what the server said.
func (r *Refusal) Error() string {
	if r.Message == "" {
		return fmt.Sprintf("the server answered %d %s", r.Status, r.Code)
	}
	return r.Message
}

// maxAnswer bounds what the client reads: a key with a million versions fits.
const maxAnswer = 1 << 30

// Do sends one request below /admin/v1 with in as its JSON body unless nil, and reads the
// answer into out unless nil. A status that is no success is a *[Refusal].
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.Endpoint, "/")+Prefix+path, body)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("reach the admin API: %w", err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		refusal := &Refusal{Status: resp.StatusCode}
		ours := resp.Header.Get(requestIDHeader) != ""
		if json.Unmarshal(raw, &refusal.Problem) != nil || refusal.Code == "" || !ours {
			return fmt.Errorf("%s answered %s, and not as the admin API does: is it another server?", c.Endpoint, resp.Status)
		}
		return refusal
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}

func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	var out T
	err := c.Do(ctx, http.MethodGet, path, nil, &out)
	return out, err
}

func post[T any](ctx context.Context, c *Client, path string, in any) (T, error) {
	var out T
	err := c.Do(ctx, http.MethodPost, path, in, &out)
	return out, err
}

// all reads every page of a list.
func all[T any](ctx context.Context, c *Client, path string, q url.Values) ([]T, error) {
	out := []T{}
	for {
		page, err := get[List[T]](ctx, c, path+"?"+q.Encode())
		if err != nil {
			return nil, err
		}
		out = append(out, page.Items...)
		if page.Next == "" {
			return out, nil
		}
		q.Set("cursor", page.Next)
	}
}

func query(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

// Info tells what server this is.
func (c *Client) Info(ctx context.Context) (*Info, error) { return get[*Info](ctx, c, "/info") }

// Clock reads the clock.
func (c *Client) Clock(ctx context.Context) (*Clock, error) { return get[*Clock](ctx, c, "/clock") }

// MoveClock changes the clock, in dev.
func (c *Client) MoveClock(ctx context.Context, change ClockChange) (*Clock, error) {
	return post[*Clock](ctx, c, "/clock", change)
}

// Reset takes a dev server back to its first state.
func (c *Client) Reset(ctx context.Context) error {
	return c.Do(ctx, http.MethodPost, "/reset", nil, nil)
}

// Events lists what is scheduled, earliest first.
func (c *Client) Events(ctx context.Context, limit int) ([]Event, error) {
	page, err := get[List[Event]](ctx, c, "/events?"+query("limit", strconv.Itoa(limit)).Encode())
	return page.Items, err
}

// Nodes lists the processes that serve from a shared database.
func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	page, err := get[List[Node]](ctx, c, "/nodes")
	return page.Items, err
}

// Keys lists keys; empty arguments select all.
func (c *Client) Keys(ctx context.Context, tenant, vault string) ([]Key, error) {
	return all[Key](ctx, c, "/keys", query("tenant", tenant, "vault", vault))
}

// Key shows one key, named in any form of any cloud. Tenant is needed only for an alias that
// several tenants have.
func (c *Client) Key(ctx context.Context, id, tenant string) (*Key, error) {
	return get[*Key](ctx, c, "/keys/"+url.PathEscape(id)+"?"+query("tenant", tenant).Encode())
}

// Aliases lists the aliases of a tenant, or everybody's.
func (c *Client) Aliases(ctx context.Context, tenant string) ([]Alias, error) {
	return all[Alias](ctx, c, "/aliases", query("tenant", tenant))
}

// Vaults lists vaults; an empty tenant is all.
func (c *Client) Vaults(ctx context.Context, tenant string) ([]Vault, error) {
	return all[Vault](ctx, c, "/vaults", query("tenant", tenant))
}

// Vault shows one vault.
func (c *Client) Vault(ctx context.Context, id string) (*Vault, error) {
	return get[*Vault](ctx, c, "/vaults/"+url.PathEscape(id))
}

// Tenants lists the tenants.
func (c *Client) Tenants(ctx context.Context) ([]Tenant, error) {
	return all[Tenant](ctx, c, "/tenants", query())
}

// CreateTenant makes a tenant with a default vault in each region.
func (c *Client) CreateTenant(ctx context.Context, t NewTenant) (*Tenant, error) {
	return post[*Tenant](ctx, c, "/tenants", t)
}

// Compartments lists a tenant's compartments, or everybody's.
func (c *Client) Compartments(ctx context.Context, tenant string) ([]Compartment, error) {
	return all[Compartment](ctx, c, "/compartments", query("tenant", tenant))
}

// CreateCompartment makes a compartment.
func (c *Client) CreateCompartment(ctx context.Context, n NewCompartment) (*Compartment, error) {
	return post[*Compartment](ctx, c, "/compartments", n)
}

// Principals lists a tenant's principals, or everybody's.
func (c *Client) Principals(ctx context.Context, tenant string) ([]Principal, error) {
	return all[Principal](ctx, c, "/principals", query("tenant", tenant))
}

// CreatePrincipal makes a principal.
func (c *Client) CreatePrincipal(ctx context.Context, p NewPrincipal) (*Principal, error) {
	return post[*Principal](ctx, c, "/principals", p)
}

// SetRole gives a principal a role.
func (c *Client) SetRole(ctx context.Context, principal string, r Role) error {
	return c.Do(ctx, http.MethodPost, "/principals/"+url.PathEscape(principal)+"/roles", r, nil)
}

// DeletePrincipal removes a principal with its credentials.
func (c *Client) DeletePrincipal(ctx context.Context, id string) error {
	return c.Do(ctx, http.MethodDelete, "/principals/"+url.PathEscape(id), nil, nil)
}

// Credentials lists a tenant's credentials, or everybody's.
func (c *Client) Credentials(ctx context.Context, tenant string) ([]Credential, error) {
	return all[Credential](ctx, c, "/credentials", query("tenant", tenant))
}

// AddCredential makes a credential. A secret is in this answer and in no other.
func (c *Client) AddCredential(ctx context.Context, n NewCredential) (*Credential, error) {
	return post[*Credential](ctx, c, "/credentials", n)
}

// SetCredentialDisabled turns a credential off or on.
func (c *Client) SetCredentialDisabled(ctx context.Context, id string, disabled bool) error {
	return c.Do(ctx, http.MethodPost, "/credentials/"+url.PathEscape(id), CredentialUpdate{Disabled: disabled}, nil)
}

// RemoveCredential removes a credential.
func (c *Client) RemoveCredential(ctx context.Context, id string) error {
	return c.Do(ctx, http.MethodDelete, "/credentials/"+url.PathEscape(id), nil, nil)
}

// CreateSession makes a session. Its token and secret are in this answer and in no other.
func (c *Client) CreateSession(ctx context.Context, n NewSession) (*Session, error) {
	return post[*Session](ctx, c, "/sessions", n)
}

// EndSessions ends every session of a principal.
func (c *Client) EndSessions(ctx context.Context, principal string) error {
	return c.Do(ctx, http.MethodDelete, "/principals/"+url.PathEscape(principal)+"/sessions", nil, nil)
}

// SetAssumable says whether a principal may have sessions as another.
func (c *Client) SetAssumable(ctx context.Context, principal, by string, allowed bool) error {
	path := "/principals/" + url.PathEscape(principal) + "/assumers"
	if !allowed {
		return c.Do(ctx, http.MethodDelete, path+"/"+url.PathEscape(by), nil, nil)
	}
	return c.Do(ctx, http.MethodPost, path, Assumer{Principal: by}, nil)
}

// Grants lists the grants of a key.
func (c *Client) Grants(ctx context.Context, key string) ([]Grant, error) {
	return all[Grant](ctx, c, "/grants", query("key", key))
}

// CreateGrant opens a key to another tenant.
func (c *Client) CreateGrant(ctx context.Context, g NewGrant) (*Grant, error) {
	return post[*Grant](ctx, c, "/grants", g)
}

// RemoveGrant closes a key to another tenant again.
func (c *Client) RemoveGrant(ctx context.Context, id string) error {
	return c.Do(ctx, http.MethodDelete, "/grants/"+url.PathEscape(id), nil, nil)
}

// Audit lists audited changes after a sequence number.
func (c *Client) Audit(ctx context.Context, after int64, limit int) ([]AuditEvent, error) {
	page, err := get[List[AuditEvent]](ctx, c,
		"/audit?"+query("after", strconv.FormatInt(after, 10), "limit", strconv.Itoa(limit)).Encode())
	return page.Items, err
}
