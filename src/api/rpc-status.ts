/**
 * An error as every gRPC tool shows it: google.rpc.Status with ErrorInfo, and BadRequest where a field is at fault, in the
 * trailing metadata `grpc-status-details-bin` (github.com/googleapis/googleapis, google/rpc/status.proto and
 * error_details.proto; AIP-193). Five small messages of strings, written field by field.
 */
import protobuf from 'protobufjs/minimal.js';

export const STATUS_METADATA = 'grpc-status-details-bin';

/** Of ErrorInfo.reason: who defines it. */
const DOMAIN = 'cabernet';

export interface RpcStatus {
  /** google.rpc.Code */
  readonly code: number;
  readonly message: string;
  readonly reason: string;
  readonly operation: string;
  /** Empty: no field is at fault. */
  readonly field: string;
}

type Fields = readonly (readonly [number: number, value: string | Uint8Array])[];

/** Length-delimited fields, wire type 2. */
function message(fields: Fields): Uint8Array {
  const writer = protobuf.Writer.create();
  for (const [number, value] of fields) {
    writer.uint32((number << 3) | 2);
    if (typeof value === 'string') writer.string(value);
    else writer.bytes(value);
  }
  return writer.finish();
}

/** google.protobuf.Any */
function any(type: string, value: Uint8Array): Uint8Array {
  return message([
    [1, `type.googleapis.com/google.rpc.${type}`],
    [2, value],
  ]);
}

export function encodeRpcStatus(status: RpcStatus): Buffer {
  const { reason, operation, field, message: text } = status;
  const metadata = message([
    [1, 'operation'],
    [2, operation],
  ]);
  const info = message([
    [1, reason],
    [2, DOMAIN],
    [3, metadata],
  ]);
  const details = [any('ErrorInfo', info)];
  if (field !== '') {
    const violation = message([
      [1, field],
      [2, text],
      [3, reason],
    ]);
    details.push(any('BadRequest', message([[1, violation]])));
  }
  const code = protobuf.Writer.create()
    .uint32((1 << 3) | 0)
    .int32(status.code)
    .finish();
  const rest = message([[2, text], ...details.map((one) => [3, one] as const)]);
  return Buffer.concat([code, rest]);
}
