/** A BFD peer as an Apply says it. */
import { formatAddress, isUnicast, parseAddress, type Address } from './address.js';
import { checkBfdPeerName, checkInterface, checkVlan, checkWireName, quote, text } from './intent-names.js';
import { checkTiming } from './link-intent.js';
import { type BfdPeerIntent } from './model.js';
import { invalid } from './refusal.js';
import type * as wire from './wire.js';

function checkPeerAddress(value: string | null | undefined, field: string): Address {
  const address = parseAddress(text(value));
  if (address && isUnicast(address)) return address;
  throw invalid('BFD_PEER_ADDRESS', field, `${quote(text(value))} is no unicast IPv4 or IPv6 address`);
}

export function checkBfdPeerIntent(message: wire.BfdPeer, field: string): BfdPeerIntent {
  const name = checkBfdPeerName(message.name, `${field}.name`);
  if (text(message.wire)) return onWire(message, name, field);
  const device = checkInterface(message.interface, `${field}.interface`);
  const vlan = checkVlan(message.vlan, `${field}.vlan`);
  const local = checkPeerAddress(message.localAddress, `${field}.local_address`);
  const remote = checkPeerAddress(message.remoteAddress, `${field}.remote_address`);
  if (local.family !== remote.family) {
    throw invalid('BFD_PEER_FAMILY', `${field}.remote_address`, 'the same family as local_address');
  }
  const texts = { local: formatAddress(local.bytes), remote: formatAddress(remote.bytes) };
  if (texts.local === texts.remote) {
    throw invalid('BFD_PEER_ADDRESS', `${field}.remote_address`, 'a neighbour: it equals local_address');
  }
  const place = { wire: '', interface: device, vlan, ...texts };
  return { kind: 'bfdPeer', name, ...place, ...checkTiming(message, field) };
}

/** The wire says where. */
function onWire(message: wire.BfdPeer, name: string, field: string): BfdPeerIntent {
  const elsewhere = [
    ['interface', text(message.interface)],
    ['vlan', message.vlan],
    ['local_address', text(message.localAddress)],
    ['remote_address', text(message.remoteAddress)],
  ] as const;
  for (const [key, value] of elsewhere)
    if (value) throw invalid('BFD_PEER_PLACE', `${field}.${key}`, 'empty where a wire says who is watched');
  const place = { interface: '', vlan: 0, local: '', remote: '' };
  const checked = checkWireName(message.wire, `${field}.wire`);
  return { kind: 'bfdPeer', name, wire: checked, ...place, ...checkTiming(message, field) };
}

/** The message that an owner would send for an intent. */
export function bfdPeerMessage(intent: BfdPeerIntent): wire.BfdPeer {
  const { name, vlan, minTx, minRx, multiplier, restore, adminDown } = intent;
  const place = {
    interface: intent.interface,
    vlan,
    localAddress: intent.local,
    remoteAddress: intent.remote,
  };
  return {
    name,
    ...(intent.wire ? { wire: intent.wire } : place),
    minTxUs: minTx,
    minRxUs: minRx,
    multiplier,
    restoreMs: restore,
    ...(adminDown ? { adminDown } : {}),
  };
}
