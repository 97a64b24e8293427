// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bufio"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
	"claviger/conformance/internal/sign"
)

// wireForm is what one of Oracle's clients puts on the wire, in its order and spelling. $ stands for
// what differs from request to request.
type wireForm struct {
	name          string
	head          string // header lines before the signature's
	content       string // and further ones with a body, or with a method that may have one
	signed        string // header names without a body, as the client spells them
	signedContent string
	authorization string
	requestID     string // as the client makes them
	retryToken    string
}

// wireForms are those of the Python SDK, on which the CLI is built, and of the TypeScript SDK, which
// sends both dates and signs names in another spelling than it lists them.
func wireForms() []wireForm {
	const sent = "date (request-target) host content-length content-type x-content-sha256"
	return []wireForm{
		{
			name: "Python",
			head: "User-Agent: Oracle-PythonSDK/2.182.1 (python 3.12.3; x86_64-Linux)\naccept-encoding: gzip, deflate\naccept: application/json\n" +
				"Connection: keep-alive\ncontent-type: application/json\nopc-request-id: $id\nopc-client-info: Oracle-PythonSDK/2.182.1\ndate: $date\nhost: $host",
			content: "content-length: $length\nx-content-sha256: $digest",
			signed:  "date (request-target) host", signedContent: sent,
			authorization: `authorization: Signature algorithm="rsa-sha256",headers="$headers",keyId="$key",signature="$signature",version="1"`,
			requestID:     "8D0C9F7E6B5A49382716F5E4D3C2B1A0", retryToken: "q7Zk2mN4xB9vC1sD8fG3hJ6kL0pW5r",
		},
		{
			name: "CLI",
			head: "User-Agent: Oracle-PythonSDK/2.182.1 (python 3.12.3; x86_64-Linux) Oracle-PythonCLI/3.89.3\naccept-encoding: gzip, deflate\naccept: */*\n" +
				"Connection: keep-alive\ncontent-type: application/json\nopc-request-id: $id\nopc-client-info: Oracle-PythonCLI/3.89.3\nopc-client-retries: true\ndate: $date\nhost: $host",
			content: "content-length: $length\nx-content-sha256: $digest",
			signed:  "date (request-target) host", signedContent: sent,
			authorization: `authorization: Signature algorithm="rsa-sha256",headers="$headers",keyId="$key",signature="$signature",version="1"`,
			requestID:     "unique-id-of-a-script", retryToken: "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5",
		},
		{
			name: "TypeScript",
			head: "content-type: application/json\naccept: */*\nx-date: $date\ndate: $date\nhost: $host\nopc-request-id: $id\n" +
				"user-agent: Oracle-TypeScriptSDK/2.139.1\naccept-encoding: gzip, deflate\nconnection: close",
			content: "content-length: $length\nx-content-sha256: $digest",
			signed:  "x-date (request-target) host", signedContent: "x-date (request-target) host Content-Type Content-Length x-content-sha256",
			authorization: `authorization: Signature version="1",keyId="$key",algorithm="rsa-sha256",headers="$headers",signature="$signature"`,
			requestID:     "1699E3C0E5C8-11F1-9457-43D83682FF38", retryToken: "9b2c4a44-6f0e-4f9b-8a55-0c9d2b6f1e77",
		},
	}
}

// text is a request's bytes.
func (f *wireForm) text(t *testing.T, key sign.OCIKey, method, host, target, body string, more ...string) string {
	t.Helper()
	digest := sha256.Sum256([]byte(body))
	lines, names := f.head, f.signed
	if method == http.MethodPost || method == http.MethodPut {
		lines, names = lines+"\n"+f.content, f.signedContent
	}
	for _, line := range more {
		lines += "\n" + line
	}
	lines = strings.NewReplacer("$id", f.requestID, "$date", time.Now().UTC().Format(http.TimeFormat), "$host", host,
		"$length", fmt.Sprint(len(body)), "$digest", base64.StdEncoding.EncodeToString(digest[:])).Replace(lines)
	values := map[string]string{"(request-target)": strings.ToLower(method) + " " + target}
	for _, line := range strings.Split(lines, "\n") {
		name, value, _ := strings.Cut(line, ": ")
		values[strings.ToLower(name)] = value
	}
	var toSign []string
	for _, name := range strings.Fields(strings.ToLower(names)) {
		toSign = append(toSign, name+": "+values[name])
	}
	sum := sha256.Sum256([]byte(strings.Join(toSign, "\n")))
	signature, err := rsa.SignPKCS1v15(nil, key.Key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	lines += "\n" + strings.NewReplacer("$headers", names, "$key", key.ID, "$signature", base64.StdEncoding.EncodeToString(signature)).Replace(f.authorization)
	return method + " " + target + " HTTP/1.1\r\n" + strings.ReplaceAll(lines, "\n", "\r\n") + "\r\n\r\n" + body
}

// exchange sends bytes over a connection of their own.
func exchange(t *testing.T, host, method, text string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("answer to %q: %v", text, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, body}
}

// What the Python SDK, the CLI and the TypeScript SDK put on the wire is understood byte for byte:
// orders and spellings of headers, bodies left out, escapes of JSON and of queries, an endpoint with
// a slash at its end, tokens and request ids of each form.
func TestOCIReplays(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	access := server.Ready.OCI
	key := oracle.SigningKey(t, access)
	host := strings.TrimPrefix(access.ManagementEndpoint, "http://")
	for _, f := range wireForms() {
		t.Run(f.name, func(t *testing.T) {
			call := func(method, target, body string, more ...string) answer {
				t.Helper()
				got := exchange(t, host, method, f.text(t, key, method, host, target, body, more...))
				want(t, method+" "+target, got.refusal(), "200")
				if id := got.header.Get("opc-request-id"); !regexp.MustCompile("^" + f.requestID + "/[0-9A-F]{32}/[0-9A-F]{32}$").MatchString(id) {
					t.Errorf("%s %s: request id %q", method, target, id)
				}
				return got
			}
			// Python writes non-ASCII as \u, others as UTF-8; --key-shape may have its length as a string.
			name, tag := `na\u00efve <\ud83d\udd11>`, `\u00fc+ &=/`
			if f.name == "TypeScript" {
				name, tag = "naïve <🔑>", "ü+ &=/"
			}
			create := `{"compartmentId": "` + access.Compartment + `", "displayName": "` + name + `", "keyShape": {"algorithm": "AES", "length": "32"}, ` +
				`"freeformTags": {"` + tag + `": "` + tag + `"}, "protectionMode": "SOFTWARE"}`
			token := "opc-retry-token: " + f.retryToken
			var made, again struct {
				ID           string            `json:"id"`
				DisplayName  string            `json:"displayName"`
				FreeformTags map[string]string `json:"freeformTags"`
			}
			call(http.MethodPost, "/20180608/keys", create, token).into(t, &made)
			if made.DisplayName != "naïve <🔑>" || made.FreeformTags["ü+ &=/"] != "ü+ &=/" {
				t.Errorf("the key is %+v", made)
			}
			call(http.MethodPost, "/20180608/keys", create, token).into(t, &again)
			want(t, "key of the repeat", again.ID, made.ID)

			path := "/20180608/keys/" + made.ID
			call(http.MethodGet, "/"+path, "") // of an endpoint with a slash at its end
			call(http.MethodPost, path+"/keyVersions", "")
			call(http.MethodPost, path+"/keyVersions", "{}")
			call(http.MethodPut, path, "")
			call(http.MethodPost, path+"/actions/scheduleDeletion", "", "opc-retry-token: x"+f.retryToken)
			call(http.MethodPost, path+"/actions/cancelDeletion", "")

			// A cursor with signs that the clients escape differently, and parameters in any order.
			next := ""
			for {
				listed := call(http.MethodGet, path+"/keyVersions?sortOrder=ASC&limit=1"+next, "")
				cursor := listed.header.Get("opc-next-page")
				if cursor == "" {
					break
				}
				next = "&page=" + strings.NewReplacer("+", "%2B", "=", "%3D").Replace(cursor)
				if f.name != "TypeScript" {
					next = strings.ReplaceAll(next, "/", "%2F")
				}
			}
			list := "/20180608/keys?limit=2&compartmentId=" + access.Compartment + "&sortBy=DISPLAYNAME&algorithm=AES&length=32"
			call(http.MethodGet, list, "")
		})
	}
	// After a 401 the CLI asks without a signature what time it is.
	got := exchange(t, host, http.MethodHead, "HEAD / HTTP/1.1\r\nHost: "+host+"\r\nUser-Agent: python-requests/2.32.3\r\nAccept: */*\r\n\r\n")
	if at, err := http.ParseTime(got.header.Get("Date")); err != nil || time.Since(at).Abs() > 5*time.Minute {
		t.Errorf("HEAD /: %d, Date %q", got.status, got.header.Get("Date"))
	}
}
