// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/objects"
	objectrequest "claviger/internal/objects/request"
	"claviger/internal/objects/spool"
)

// bucket is a backupLocation of an object.
func bucket(object string) map[string]any {
	return map[string]any{"destination": "BUCKET", "namespace": "acme", "bucketName": "backups", "objectName": object}
}

// another is a rig with the same root key, the same object storage and nothing else in common.
func (r *rig) another(t *testing.T) *rig {
	t.Helper()
	return newRigOn(t, kmstest.New(t, kmstest.With(func(c *kms.Config) {
		c.Seal, c.Objects = r.Config.Seal, r.Config.Objects
	})), nil)
}

// object reads what is stored as an object of the first tenant's.
func (r *rig) object(t *testing.T, name string) []byte {
	t.Helper()
	body, _, err := r.Config.Objects.Get(t.Context(), objects.Location{Name: objects.Name{
		Owner: r.Tenant.Names[Name], Namespace: "acme", Bucket: "backups", Object: name,
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	content, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// followed reads the work request of an answer, which must have come to its end.
func (r *rig) followed(t *testing.T, p reply, status string) map[string]any {
	t.Helper()
	name := p.header.Get("Opc-Work-Request-Id")
	work := r.call(t, r.Tenant, "GET", r.region.URL+"/20160918/workRequests/"+name, nil).object(t)
	if work["status"] != status {
		t.Errorf("work request %s is %v, want %s", name, work["status"], status)
	}
	return work
}

// furnish gives the first tenant's vault keys in many states, and a ciphertext of each that has a
// cipher. It answers the keys' OCIDs.
func (r *rig) furnish(t *testing.T) (names []string, sealed map[string]string) {
	t.Helper()
	url := r.vault(r.Tenant) + "/20180608"
	sealed = map[string]string{}
	for i, algorithm := range []string{"AES", "ECDSA", "AES", "AES"} {
		k := r.newKey(t, r.Tenant, algorithm, 32)
		name := fmt.Sprint(k["id"])
		names = append(names, name)
		if algorithm != "AES" {
			continue
		}
		out := r.call(t, r.Tenant, "POST", url+"/encrypt", map[string]any{"keyId": name, "plaintext": "aGVsbG8="}).object(t)
		sealed[name] = fmt.Sprint(out["ciphertext"])
		old := k["currentKeyVersion"]
		r.call(t, r.Tenant, "POST", url+"/keys/"+name+"/keyVersions", nil).object(t)
		switch i {
		case 0:
			r.call(t, r.Tenant, "PUT", url+"/keys/"+name, map[string]any{
				"displayName": "renamed", "freeformTags": map[string]any{"a": "b"}, "definedTags": map[string]any{"n": map[string]any{"c": "d"}},
			}).object(t)
		case 2:
			r.call(t, r.Tenant, "POST", fmt.Sprint(url, "/keys/", name, "/keyVersions/", old, "/actions/scheduleDeletion"), nil).object(t)
			r.call(t, r.Tenant, "POST", url+"/keys/"+name+"/actions/disable", nil).object(t)
		case 3:
			r.call(t, r.Tenant, "POST", url+"/keys/"+name+"/actions/scheduleDeletion", nil).object(t)
		}
	}
	return names, sealed
}

// shown is all that the API shows of the keys of a vault: each, its versions and each of these.
func (r *rig) shown(t *testing.T, vaultURL string, names []string) map[string]any {
	t.Helper()
	out := map[string]any{}
	for _, name := range names {
		url := vaultURL + "/20180608/keys/" + name
		out[name] = without(r.call(t, r.Tenant, "GET", url, nil).object(t))
		for _, v := range r.call(t, r.Tenant, "GET", url+"/keyVersions", nil).array(t) {
			version := fmt.Sprint(v["id"])
			out[version] = without(r.call(t, r.Tenant, "GET", url+"/keyVersions/"+version, nil).object(t))
		}
	}
	return out
}

// without takes off what a restore adds.
func without(m map[string]any) map[string]any {
	delete(m, "restoredFromKeyId")
	delete(m, "restoredFromKeyVersionId")
	return m
}

// A vault with its keys goes into a bucket and comes back on another server: the same ids, states,
// schedules, tags; and what was encrypted before opens.
func TestAVaultGoesToAnotherServer(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	names, sealed := r.furnish(t)
	vault := r.dialect.namer.vaultName(kmstest.Region, r.Tenant.Vault)
	got := r.call(t, r.Tenant, "POST", r.region.URL+"/20180608/vaults/"+vault+"/actions/backup",
		map[string]any{"backupLocation": bucket("whole vault"), "isIncludeKeys": true})
	if m := got.object(t); m["id"] != vault || m["lifecycleState"] != "ACTIVE" || got.header.Get("Etag") == "" || got.header.Get("Opc-Content-Md5") != "" {
		t.Errorf("the backup answers %v %v", m, got.header)
	}
	r.followed(t, got, "SUCCEEDED")

	other := r.another(t)
	restored := other.call(t, other.Tenant, "POST",
		other.region.URL+"/20180608/vaults/actions/restoreFromObjectStore?compartmentId="+other.Tenant.Names[Name], map[string]any{"backupLocation": bucket("whole vault")})
	m := restored.object(t)
	if m["id"] != vault || m["lifecycleState"] != "ACTIVE" || m["restoredFromVaultId"] != vault || m["timeOfDeletion"] != nil {
		t.Errorf("the restored vault is %v", m)
	}
	work := other.followed(t, restored, "SUCCEEDED")
	if diff := cmp.Diff([]any{map[string]any{
		"actionType": "CREATED", "entityType": "vault", "identifier": vault, "entityUri": "/20180608/vaults/" + vault,
	}}, work["resources"]); diff != "" || work["operationType"] != "RESTORE_VAULT" {
		t.Errorf("its work request: %v\n%s", work, diff)
	}
	there := other.vaultURL(&keys.Vault{ID: r.Tenant.Vault, Region: kmstest.Region})
	if diff := cmp.Diff(r.shown(t, r.vault(r.Tenant), names), other.shown(t, there, names)); diff != "" {
		t.Errorf("the keys before and after (-before +after):\n%s", diff)
	}
	out := other.call(t, other.Tenant, "POST", there+"/20180608/decrypt", map[string]any{"keyId": names[0], "ciphertext": sealed[names[0]]}).object(t)
	if out["plaintext"] != "aGVsbG8=" {
		t.Errorf("the old ciphertext opens as %v", out)
	}
	k := other.call(t, other.Tenant, "GET", there+"/20180608/keys/"+names[0], nil).object(t)
	v := other.call(t, other.Tenant, "GET", fmt.Sprint(there, "/20180608/keys/", names[0], "/keyVersions/", k["currentKeyVersion"]), nil).object(t)
	if k["restoredFromKeyId"] != names[0] || v["restoredFromKeyVersionId"] != k["currentKeyVersion"] {
		t.Errorf("restored from %v and %v", k["restoredFromKeyId"], v["restoredFromKeyVersionId"])
	}
	again := other.call(t, other.Tenant, "POST",
		other.region.URL+"/20180608/vaults/actions/restoreFromObjectStore?compartmentId="+other.Tenant.Names[Name], map[string]any{"backupLocation": bucket("whole vault")})
	if got := again.refusal(t); got != "409 NotAuthorizedOrResourceAlreadyExists" {
		t.Errorf("a vault that is there: %s", got)
	}
}

// A key's backup is uploaded: whole and with the right sums or not at all.
func TestUploads(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	names, _ := r.furnish(t)
	vault := r.dialect.namer.vaultName(kmstest.Region, r.Tenant.Vault)
	back := func(url string) reply {
		return r.call(t, r.Tenant, "POST", url+"/actions/backup", map[string]any{"backupLocation": bucket("it")})
	}
	back(r.region.URL + "/20180608/vaults/" + vault).object(t)
	empty := r.object(t, "it")
	r.followed(t, back(r.vault(r.Tenant)+"/20180608/keys/"+names[0]), "SUCCEEDED")
	backup := r.object(t, "it")

	other := r.another(t)
	upload := func(t *testing.T, path string, body []byte, header ...string) reply {
		base := other.region.URL
		if strings.Contains(path, "keys") {
			base = other.vaultURL(&keys.Vault{ID: r.Tenant.Vault, Region: kmstest.Region})
		}
		return other.call(t, other.Tenant, "POST", base+"/20180608/"+path, string(body), header...)
	}
	const key = "keys/actions/restoreFromFile"
	if got := upload(t, key, backup).refusal(t); got != "404 NotAuthorizedOrNotFound" {
		t.Errorf("a key without its vault: %s", got)
	}
	restored := upload(t, "vaults/actions/restoreFromFile?compartmentId="+other.Tenant.Names[Name], empty)
	if m := restored.object(t); m["id"] != vault || restored.header.Get("Opc-Content-Md5") != sumOf(empty) {
		t.Errorf("the restored vault is %v, %v", m, restored.header)
	}

	flipped := bytes.Clone(backup)
	flipped[len(flipped)*2/3] ^= 0x10
	for name, c := range map[string]struct {
		body   []byte
		header []string
		want   string
	}{
		"a flipped byte":      {flipped, nil, "400 InvalidParameter"},
		"a truncated file":    {backup[:len(backup)-7], nil, "400 InvalidParameter"},
		"a vault's":           {empty, nil, "400 InvalidParameter"},
		"another MD5":         {backup, []string{"Content-Md5", sumOf(flipped)}, "400 UnmatchedContentMD5"},
		"an MD5 that is none": {backup, []string{"Content-Md5", "x"}, "400 InvalidParameter"},
		"if-match":            {backup, []string{"If-Match", "x"}, "412 NoEtagMatch"},
	} {
		got := upload(t, key, c.body, c.header...)
		if got.refusal(t) != c.want {
			t.Errorf("%s: %d %s, want %s", name, got.status, got.body, c.want)
		}
		if name == "another MD5" && got.message(t) != "The computed MD5 of the request body ("+sumOf(backup)+") does not match the Content-MD5 header ("+sumOf(flipped)+")." {
			t.Errorf("%s: %s", name, got.body)
		}
	}
	// Signed for another body.
	req := other.signer(other.Tenant).request(t, other.Clock.Now(), "POST", other.vaultURL(&keys.Vault{ID: r.Tenant.Vault, Region: kmstest.Region})+"/20180608/"+key, http.Header{}, flipped)
	req.Body = io.NopCloser(bytes.NewReader(backup))
	if got := send(t, req).refusal(t); got != "401 NotAuthenticated" {
		t.Errorf("another body than was signed: %s", got)
	}
	there := other.vaultURL(&keys.Vault{ID: r.Tenant.Vault, Region: kmstest.Region})
	if list := other.call(t, other.Tenant, "GET", there+"/20180608/keys?compartmentId="+other.Tenant.Names[Name], nil).array(t); len(list) != 0 {
		t.Errorf("after refused restores there are %v", list)
	}

	first := upload(t, key, backup, "Opc-Retry-Token", "once", "Content-Md5", sumOf(backup))
	again := upload(t, key, backup, "Opc-Retry-Token", "once", "Content-Md5", sumOf(backup))
	if diff := cmp.Diff(first.object(t), again.object(t)); diff != "" || first.header.Get("Opc-Work-Request-Id") != again.header.Get("Opc-Work-Request-Id") {
		t.Errorf("a repeat (-first +again):\n%s", diff)
	}
	if got := upload(t, key, backup).refusal(t); got != "409 NotAuthorizedOrResourceAlreadyExists" {
		t.Errorf("a key that is there: %s", got)
	}
	if got := upload(t, key, flipped, "Opc-Retry-Token", "once").refusal(t); got != "409 InvalidatedRetryToken" {
		t.Errorf("another upload with the same retry token: %s", got)
	}
	if diff := cmp.Diff(r.shown(t, r.vault(r.Tenant), names[:1]), other.shown(t, there, names[:1])); diff != "" {
		t.Errorf("the key before and after (-before +after):\n%s", diff)
	}
	if used := other.Config.Spool.(*spool.Dir).Used(); used != 0 {
		t.Errorf("%d bytes are left in temporary files", used)
	}
}

func sumOf(b []byte) string {
	sum := md5.Sum(b)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Nothing of an upload is read before its head is known to be somebody's, and no more than is
// allowed after.
func TestUploadsAreBounded(t *testing.T) {
	t.Parallel()
	const most = 1000
	r := newRigOn(t, kmstest.New(t, kmstest.With(func(c *kms.Config) { c.MaxBackup = most })), nil)
	url := r.vault(r.Tenant) + "/20180608/keys/actions/restoreFromFile"
	if got := r.call(t, r.Tenant, "POST", url, strings.Repeat("x", most+1)).refusal(t); got != "413 RequestEntityTooLarge" {
		t.Errorf("too large: %s", got)
	}
	if got := r.call(t, r.Tenant, "POST", url, strings.Repeat("x", most)).refusal(t); got != "400 InvalidParameter" {
		t.Errorf("just fitting: %s", got)
	}
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   string
	}{
		"unsigned":       {func(q *http.Request) { q.Header.Del("Authorization") }, "401 NotAuthenticated"},
		"another's name": {func(q *http.Request) { q.Header.Set("Host", "elsewhere.example.org") }, "401 NotAuthenticated"},
		"too large":      {func(*http.Request) {}, "413 RequestEntityTooLarge"},
	} {
		req := r.signer(r.Tenant).request(t, r.Clock.Now(), "POST", url, http.Header{}, bytes.Repeat([]byte("x"), 100*most))
		c.change(req)
		if got := headOnly(t, req, 100*most).refusal(t); got != c.want {
			t.Errorf("%s, without a body yet: %s, want %s", name, got, c.want)
		}
	}
	// A client that leaves in the middle leaves nothing.
	body := bytes.Repeat([]byte("x"), most)
	req := r.signer(r.Tenant).request(t, r.Clock.Now(), "POST", url, http.Header{}, body)
	req.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:most/2]), brokenReader{}))
	if res, err := http.DefaultTransport.RoundTrip(req); err == nil {
		t.Errorf("half an upload is answered %d", res.StatusCode)
		_ = res.Body.Close()
	}
	r.vaults[r.Tenant.Vault].Close() // waits for what is under way
	if used := r.Config.Spool.(*spool.Dir).Used(); used != 0 {
		t.Errorf("%d bytes are left in temporary files", used)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

// headOnly sends the head of a request whose body never comes, and reads the answer.
func headOnly(t *testing.T, req *http.Request, length int) reply {
	t.Helper()
	conn, err := net.Dial("tcp", req.URL.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var head strings.Builder
	host := req.URL.Host
	if other := req.Header.Get("Host"); other != "" {
		host = other
		req.Header.Del("Host")
	}
	fmt.Fprintf(&head, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %s\r\n", req.URL.RequestURI(), host, strconv.Itoa(length))
	if err := req.Header.Write(&head); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, head.String()+"\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, content}
}

// Backups go through request URIs to the hosts that are allowed, and to no other. The URI is told to
// nobody.
func TestRequestURIs(t *testing.T) {
	t.Parallel()
	const path = "/p/hush-hush/n/acme/b/backups/o/it"
	var mu sync.Mutex
	stored := map[string][]byte{}
	store := newServer(t, func(w http.ResponseWriter, q *http.Request) {
		content, err := io.ReadAll(q.Body)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil || q.RequestURI != path:
			w.WriteHeader(http.StatusNotFound)
		case q.Method == http.MethodPut:
			stored[path] = content
		default:
			_, _ = w.Write(stored[path])
		}
	})
	requests, err := objectrequest.New(objectrequest.Config{Hosts: []string{store}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(requests.Close)
	r := newRigOn(t, kmstest.New(t, kmstest.With(func(c *kms.Config) { c.Objects.Requests = requests })), nil)
	k := fmt.Sprint(r.newKey(t, r.Tenant, "AES", 32)["id"])
	url := r.vault(r.Tenant) + "/20180608/keys"
	at := func(uri string) map[string]any {
		return map[string]any{"backupLocation": map[string]any{"destination": "PRE_AUTHENTICATED_REQUEST_URI", "uri": uri}}
	}
	r.call(t, r.Tenant, "POST", url+"/"+k+"/actions/backup", at(store+path)).object(t)
	if got := r.call(t, r.Tenant, "POST", url+"/actions/restoreFromObjectStore", at(store+path)).refusal(t); got != "409 NotAuthorizedOrResourceAlreadyExists" {
		t.Errorf("what was stored is read as %s", got)
	}
	for name, c := range map[string]struct{ uri, want string }{
		"another object":   {store + path + "x", "400 RelatedResourceNotAuthorizedOrNotFound"},
		"another host":     {"https://elsewhere.example.org/p/hush-hush", "400 InvalidParameter"},
		"the other scheme": {strings.Replace(store, "http:", "https:", 1) + path, "400 InvalidParameter"},
		"metadata":         {"http://169.254.169.254/hush-hush", "400 InvalidParameter"},
		"no URI":           {"hush-hush", "400 InvalidParameter"},
		"empty":            {"", "400 MissingParameter"},
	} {
		for _, op := range []string{"/" + k + "/actions/backup", "/actions/restoreFromObjectStore"} {
			got := r.call(t, r.Tenant, "POST", url+op, at(c.uri))
			if got.refusal(t) != c.want || strings.Contains(string(got.body)+got.hint(), "hush") {
				t.Errorf("%s %s: %d %s (%s), want %s", name, op, got.status, got.body, got.hint(), c.want)
			}
			if c.want == "400 InvalidParameter" && !strings.Contains(got.hint(), "objects.request_hosts") {
				t.Errorf("%s: the hint is %q", name, got.hint())
			}
		}
	}
	for _, ev := range r.Audit.Events() {
		if strings.Contains(fmt.Sprintf("%+v", ev), "hush") {
			t.Errorf("recorded is %+v", ev)
		}
	}
	for _, mixed := range []map[string]any{
		{"destination": "BUCKET", "namespace": "n", "bucketName": "b", "objectName": "o", "uri": "https://h"},
		{"destination": "PRE_AUTHENTICATED_REQUEST_URI", "uri": store + path, "bucketName": "b"},
		{"uri": store + path},
		{"destination": "BUCKET"},
		{},
	} {
		got := r.call(t, r.Tenant, "POST", url+"/"+k+"/actions/backup", map[string]any{"backupLocation": mixed}).refusal(t)
		if got != "400 InvalidParameter" && got != "400 MissingParameter" {
			t.Errorf("%v: %s", mixed, got)
		}
	}
}

func newServer(t *testing.T, h http.HandlerFunc) (url string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	go s.Serve(ln) //nolint:errcheck // it ends when it is closed
	t.Cleanup(func() { _ = s.Close() })
	return "http://" + ln.Addr().String()
}
