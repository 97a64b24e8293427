// SPDX-License-Identifier: Apache-2.0

package alibaba

import "net/http"

// code is an error code of the cloud. As the cause of a keys.Error it decides the answer on
// its own: the codes of the gateway, which refuses before the key service sees the request,
// are raised this way.
type code string

// Error is the code itself.
func (c code) Error() string { return string(c) }

// The codes that are answered; others stand in the tables below only.
const (
	codeMalformed         code = "ParseRequestParameterException"
	codeTooLarge          code = "RequestEntityTooLarge"
	codeFormat            code = "InvalidParameter.Format"
	codeMethod            code = "UnsupportedHTTPMethod"
	codeNoAction          code = "InvalidAction.NotFound"
	codeVersion           code = "InvalidVersion"
	codeTimeFormat        code = "InvalidTimeStamp.Format"
	codeTimeExpired       code = "InvalidTimeStamp.Expired"
	codeSignatureMethod   code = "InvalidSignatureMethod"
	codeSignatureVersion  code = "InvalidSignatureVersion"
	codeIncomplete        code = "IncompleteSignature"
	codeMismatch          code = "SignatureDoesNotMatch"
	codeNonceUsed         code = "SignatureNonceUsed"
	codeAccessKeyNotFound code = "InvalidAccessKeyId.NotFound"
	codeAccessKeyDisabled code = "Forbidden.AccessKey"
	codeToken             code = "InvalidSecurityToken.Malformed"
	codeTokenExpired      code = "InvalidSecurityToken.Expired"
	codeTokenMismatch     code = "InvalidSecurityToken.MismatchWithAccessKey"
	codeRole              code = "EntityNotExist.Role"
	codeRoleDenied        code = "NoPermission"
	codeRoleARN           code = "InvalidParameter.RoleArn"
	codeSessionName       code = "InvalidParameter.RoleSessionName"
	codeDuration          code = "InvalidParameter.DurationSeconds"
	codeSessionPolicy     code = "InvalidParameter.PolicyGrammar"
	codeExternalID        code = "InvalidParameter.ExternalId"
	codeSourceIdentity    code = "InvalidParameter.SourceIdentity"
	codeDryRun            code = "DryRunOperationError"
	codeDryRunInvalid     code = "ValidationError"
	codeDryRunDenied      code = "AccessDeniedError"

	codeMissing            code = "MissingParameter"
	codeInvalid            code = "InvalidParameter"
	codeNoPermission       code = "Forbidden.NoPermission"
	codeKeyNotFound        code = "Forbidden.KeyNotFound"
	codeVersionNotFound    code = "Forbidden.KeyVersionNotFound"
	codeAliasNotFound      code = "Forbidden.AliasNotFound"
	codeResourceIDNotFound code = "InvalidResourceId.NotFound"
	codeTagKey             code = "InvalidParameter.TagKey"
	codeTagValue           code = "InvalidParameter.TagValue"
	codeTagTwice           code = "Duplicate.TagKey"
	codeOpened             code = "Forbidden.Opened"
	codeInstanceState      code = "Forbidden.DKMSInstanceStateInvalid"
	codeResourceNotFound   code = "Forbidden.ResourceNotFound"
	codeInstanceNotFound   code = "Forbidden.DKMSInstanceNotFound"
	codeKeyPolicy          code = "Forbidden.KeyPolicyUnSupported"
	codeAliasExists        code = "AliasAlreadyExists"
	codeResourceExists     code = "Rejected.ResourceExist"
	codeDisabled           code = "Rejected.Disabled"
	codePendingDeletion    code = "Rejected.PendingDeletion"
	codePendingImport      code = "Rejected.PendingImport"
	codeStateUnavailable   code = "Rejected.Unavailable"
	codeStateModified      code = "Rejected.StateModifiedFailed"
	codeProtected          code = "Rejected.DeletionProtection"
	codeRejected           code = "Rejected.UnsupportedOperation"
	codeLimit              code = "Rejected.LimitExceeded"
	codeThrottled          code = "Rejected.Throttling"
	codeThrottledSource    code = "Throttling"
	codeAlias              code = "Unsupported.Alias"
	codeOrigin             code = "Unsupported.Origin"
	codeMaterial           code = "InvalidKeyMaterial"
	codeImportToken        code = "InvalidImportToken"
	codeImportOver         code = "ExpiredImportToken"
	codeProtection         code = "Unsupported.ProtectionLevel"
	codeUnsupported        code = "UnsupportedOperation"
	codeUnavailable        code = "ServiceUnavailableTemporary"
	codeInternal           code = "InternalFailure"
)

// answer is what a code looks like on the wire. A "%s" in the message stands for the field.
type answer struct {
	status  int
	message string
}

const (
	messageInvalid = "The specified parameter is not valid."
	messageState   = "The request was rejected because the key state is "
)

// answers is every code with its status and its usual message.
var answers = map[code]answer{
	codeMalformed:         {http.StatusBadRequest, "Server parse parameters exception. Please check your input params."},
	codeTooLarge:          {http.StatusRequestEntityTooLarge, "The request is too large."},
	codeFormat:            {http.StatusBadRequest, "Specified parameter Format is not valid."},
	codeMethod:            {http.StatusForbidden, "This http method is not supported."},
	codeNoAction:          {http.StatusNotFound, "Specified api is not found, please check your url and method."},
	codeVersion:           {http.StatusBadRequest, "Specified parameter Version is not valid."},
	codeTimeFormat:        {http.StatusBadRequest, "Specified time stamp or date value is not well formatted."},
	codeTimeExpired:       {http.StatusBadRequest, "Specified time stamp or date value is expired."},
	codeSignatureMethod:   {http.StatusBadRequest, "Specified signature method is not valid."},
	codeSignatureVersion:  {http.StatusBadRequest, "Specified signature version is not valid."},
	codeIncomplete:        {http.StatusBadRequest, "The request signature does not conform to Aliyun standards."},
	codeMismatch:          {http.StatusBadRequest, "Specified signature is not matched with our calculation."},
	codeNonceUsed:         {http.StatusBadRequest, "Specified signature nonce was used already."},
	codeAccessKeyNotFound: {http.StatusNotFound, "The Access Key ID provided does not exist in our records."},
	codeAccessKeyDisabled: {http.StatusForbidden, "This AccessKey is not enabled."},
	codeToken:             {http.StatusBadRequest, "Specified SecurityToken is malformed."},
	codeTokenExpired:      {http.StatusBadRequest, "Specified SecurityToken is expired."},
	codeTokenMismatch:     {http.StatusBadRequest, "Specified SecurityToken mismatch with the AccessKey."},
	codeRole:              {http.StatusNotFound, "The specified Role not exists ."}, // the cloud's own spelling
	codeRoleDenied:        {http.StatusForbidden, "You are not authorized to do this action. You should be authorized by RAM."},
	codeRoleARN:           {http.StatusBadRequest, "The parameter RoleArn is wrongly formed."},
	codeSessionName:       {http.StatusBadRequest, "The parameter RoleSessionName is wrongly formed."},
	codeDuration:          {http.StatusBadRequest, "The Min/Max value of DurationSeconds is 15min/1hr."},
	codeSessionPolicy:     {http.StatusBadRequest, "The parameter Policy has not passed grammar check."},
	codeExternalID:        {http.StatusBadRequest, "The parameter ExternalId is wrongly formed."},
	codeSourceIdentity:    {http.StatusBadRequest, "The parameter SourceIdentity is wrongly formed."},
	codeDryRun:            {http.StatusBadRequest, "The request would have succeeded, but the DryRun parameter is set."},
	codeDryRunInvalid:     {http.StatusBadRequest, "The request would have failed, and the DryRun parameter is set."},
	codeDryRunDenied:      {http.StatusForbidden, "The request would have been denied, and the DryRun parameter is set."},

	codeMissing:            {http.StatusBadRequest, `The parameter "%s" is needed but not provided.`},
	codeInvalid:            {http.StatusBadRequest, messageInvalid},
	codeNoPermission:       {http.StatusForbidden, "This operation is forbidden by permission system."},
	codeKeyNotFound:        {http.StatusNotFound, "The specified Key is not found."},
	codeVersionNotFound:    {http.StatusNotFound, "The specified Key version is not found."},
	codeAliasNotFound:      {http.StatusNotFound, "The specified Alias is not found."},
	codeResourceIDNotFound: {http.StatusNotFound, "The specified ResourceId is not found."},
	codeTagKey:             {http.StatusBadRequest, messageInvalid},
	codeTagValue:           {http.StatusBadRequest, messageInvalid},
	codeTagTwice:           {http.StatusBadRequest, "The specified tagKey is duplicate."},
	codeOpened:             {http.StatusBadRequest, "Your kms service has been opened."},
	codeInstanceState:      {http.StatusForbidden, "The DKMS instance state is invalid."},
	codeResourceNotFound:   {http.StatusNotFound, "Resource not found."},
	codeInstanceNotFound:   {http.StatusForbidden, "The specified DKMS Instance is not found."},
	codeKeyPolicy:          {http.StatusBadRequest, "The specified key does not support key policy."},
	codeAliasExists:        {http.StatusBadRequest, "AliasName Already Exists."},
	codeResourceExists:     {http.StatusConflict, "The resource already exists."},
	codeDisabled:           {http.StatusConflict, messageState + "Disabled."},
	codePendingDeletion:    {http.StatusConflict, messageState + "PendingDeletion."},
	codePendingImport:      {http.StatusConflict, messageState + "PendingImport."},
	codeStateUnavailable:   {http.StatusConflict, messageState + "Unavailable."},
	codeStateModified:      {http.StatusConflict, "Keystate modified failed."},
	codeProtected:          {http.StatusConflict, "The key is protected from deletion."},
	codeRejected:           {http.StatusBadRequest, "Unsupported operation."},
	codeLimit:              {http.StatusBadRequest, "The request was rejected because user create resource limit was exceeded."},
	codeThrottledSource:    {http.StatusBadRequest, "Request was denied due to request throttling."},
	codeThrottled:          {http.StatusTooManyRequests, "QPS Limit Exceeded"},
	codeAlias:              {http.StatusBadRequest, "Alias is not valid for this api."},
	codeOrigin:             {http.StatusBadRequest, "This key origin is not valid for this api."},
	codeMaterial:           {http.StatusBadRequest, "key material is invalid."},
	codeImportToken:        {http.StatusBadRequest, "import token is invalid."},
	codeImportOver:         {http.StatusBadRequest, "import token is expired."},
	codeProtection:         {http.StatusBadRequest, "This protection level is not valid for this region"},
	codeUnsupported:        {http.StatusBadRequest, "This action is not supported."},
	codeUnavailable:        {http.StatusServiceUnavailable, "Service Unavailable Temporary"},
	codeInternal:           {http.StatusInternalServerError, "Internal Failure."},

	// A common parameter that is absent has a code of its own.
	missingCommon("Action"):           {http.StatusBadRequest, messageMandatory},
	missingCommon("Version"):          {http.StatusBadRequest, messageMandatory},
	missingCommon("AccessKeyId"):      {http.StatusBadRequest, messageMandatory},
	missingCommon("Signature"):        {http.StatusBadRequest, messageMandatory},
	missingCommon("SignatureMethod"):  {http.StatusBadRequest, messageMandatory},
	missingCommon("SignatureVersion"): {http.StatusBadRequest, messageMandatory},
	missingCommon("SignatureNonce"):   {http.StatusBadRequest, messageMandatory},
	missingCommon("Timestamp"):        {http.StatusBadRequest, messageMandatory},
	missingCommon("SecurityToken"):    {http.StatusBadRequest, messageMandatory},
	missingCommon("RoleArn"):          {http.StatusBadRequest, messageMandatory},
	missingCommon("RoleSessionName"):  {http.StatusBadRequest, messageMandatory},
}

const messageMandatory = "%s is mandatory for this action."

func missingCommon(name string) code { return "Missing" + code(name) }
