/** Where the command line finds a controller. */
import { ADDRESS_RULE, parseAddressOfServer, splitAddresses } from '../../api/address.js';

/** What is right, for error messages. */
export const CONTROLLER_RULE = `${ADDRESS_RULE}, or \`192.0.2.1:7200,192.0.2.2:7200\` of replicas`;

/** Replicas are on several machines: only addresses of TCP come in lists. */
export function isController(text: string): boolean {
  const all = splitAddresses(text) ?? [];
  return (
    all.length === 1 || (all.length > 1 && all.every((one) => parseAddressOfServer(one)?.kind === 'tcp'))
  );
}
