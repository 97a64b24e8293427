// SPDX-License-Identifier: Apache-2.0

package cloud

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/oracle/oci-go-sdk/v65/common"
)

// Refusal is an answer that is not what was asked for.
type Refusal struct {
	Operation string // the API's name, such as CreateKeyVersion
	Endpoint  string // scheme, host and port that answered
	Status    int    // of HTTP
	Code      string // the API's, such as NotAuthorizedOrNotFound
	Message   string // the service's own words
	RequestID string // under which the service's log has it
	Hint      string // what a server of the Claviger kind adds to explain itself; empty elsewhere
}

func (e *Refusal) Error() string {
	return fmt.Sprintf("%s at %s: %d %s: %s", e.Operation, e.Endpoint, e.Status, e.Code, e.Message)
}

// Unanswered is a request that no answer came to.
type Unanswered struct{ Err error }

func (e *Unanswered) Error() string { return e.Err.Error() }

func (e *Unanswered) Unwrap() error { return e.Err }

// describe makes of the SDK's error what this package promises. The SDK's own text is a page long and
// sends people to Oracle's support, whose server this may not be.
func describe(err error, answer *http.Response) error {
	var failure common.ServiceErrorRichInfo
	if !errors.As(err, &failure) {
		return &Unanswered{err}
	}
	refused := &Refusal{
		Operation: failure.GetOperationName(), Status: failure.GetHTTPStatusCode(), Code: failure.GetCode(),
		Message: failure.GetMessage(), RequestID: failure.GetOpcRequestID(),
	}
	if answer != nil {
		refused.Hint = answer.Header.Get("X-Claviger-Hint")
		if answer.Request != nil {
			refused.Endpoint = answer.Request.URL.Scheme + "://" + answer.Request.URL.Host
		}
	}
	return refused
}
