// SPDX-License-Identifier: Apache-2.0

// Package cloud is how the provider speaks to a key management service: Oracle's own or one that
// answers like it. It wraps the clients of Oracle's SDK in what Terraform needs of them: addresses
// that can be overridden, retries that end, waiting for states, and errors that tell a person what
// to do.
//
// It makes no request before something is asked of the service, keeps no state between operations
// but connections and locks, and never writes a secret into an error.
package cloud
