/** What both ends of a connection agree on beside the messages. */

/** Of one message, encoded; both ways. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** Metadata in which a caller may name its request, and in which it finds the name that the server's log uses. */
export const REQUEST_ID_METADATA = 'x-request-id';

/** Messages are encoded and decoded around gRPC, not in it, so that what fails there is told as everything else is. */
export const identity = (bytes: Buffer): Buffer => bytes;

export type Streams = 'none' | 'request' | 'response' | 'both';

/** Which side of a method is a stream. */
export function streamsOf(method: {
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}): Streams {
  if (method.requestStream) return method.responseStream ? 'both' : 'request';
  return method.responseStream ? 'response' : 'none';
}
