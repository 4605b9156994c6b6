/** Calls of bytes, by a client that checks nothing: whoever has a socket or a directory of credentials can make them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';

import { ChannelCredentials, Client, Metadata, type ServiceError } from '@grpc/grpc-js';

const same = (bytes: Buffer): Buffer => bytes;
const SIZES = { 'grpc.max_send_message_length': -1, 'grpc.max_receive_message_length': -1 };

export function rawLocal(socketPath: string): Client {
  return new Client(`unix:${socketPath}`, ChannelCredentials.createInsecure(), SIZES);
}

/** By the certificate in the directory, or by none; whoever answers is believed. */
export function rawRemote(address: string, directory: string, { anonymous = false } = {}): Client {
  const file = (name: string): Buffer => readFileSync(join(directory, name));
  const own = anonymous ? {} : { cert: file('certificate.pem'), key: file('key.pem') };
  const context = createSecureContext({ ...own, ca: file('authorities.pem') });
  const secure = ChannelCredentials.createFromSecureContext(context, {
    checkServerIdentity: () => undefined,
  });
  return new Client(`ipv4:${address}`, secure, { ...SIZES, 'grpc.ssl_target_name_override': 'x' });
}

/** Sends these messages and takes the first answer; the error if there is one, undefined if it ends without either. */
export async function rawCall(
  client: Client,
  path: string,
  requests: readonly Uint8Array[],
): Promise<Buffer | ServiceError | undefined> {
  const call = client.makeBidiStreamRequest(path, same, same, new Metadata(), {
    deadline: Date.now() + 20_000,
  });
  call.on('error', () => undefined);
  for (const bytes of requests) call.write(Buffer.from(bytes));
  call.end();
  try {
    for await (const answer of call) return answer as Buffer;
    return undefined;
  } catch (error) {
    return error as ServiceError;
  } finally {
    call.cancel();
  }
}
