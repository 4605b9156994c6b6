/**
 * Names and labels of an Apply stream's messages, checked: what is wrong is refused with the field's path and with what
 * would be right.
 */
import {
  formatVirtualNodeName,
  isOwner,
  NAME_RULES,
  parseBfdPeerName,
  parseTunnelName,
  parseVifName,
  parseVirtualNodeName,
  parseWireName,
  type VirtualNodeName,
} from '../api/names.js';
import { type Below } from './model.js';
import { invalid } from './refusal.js';

/** RFC 3032: 0 to 15 are reserved; 20 bits. */
const FIRST_LABEL = 16;
const LAST_LABEL = 0xfffff;

/** Of Linux: dev_valid_name(). */
const INTERFACE = /^(?!\.{1,2}$)[^\s/:\p{Cc}]{1,15}$/u;
/** A text of a message, shortened for an error's sentence. */
export function quote(value: unknown): string {
  const text = typeof value === 'string' ? value : String(value);
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

export function text(value: string | null | undefined): string {
  return value ?? '';
}

export function checkOwner(value: string | null | undefined, field: string): string {
  if (isOwner(text(value))) return text(value);
  throw invalid('OWNER_NAME', field, `${quote(text(value))}: ${NAME_RULES.owner}`);
}

/** The last right answer: a stream names the same node, vif or gateway many times. */
export function remembering<T>(parse: (text: string) => T | undefined): (text: string) => T | undefined {
  let last = '';
  let answer: T | undefined;
  return (value) => {
    if (answer === undefined || value !== last) {
      answer = parse(value);
      last = value;
    }
    return answer;
  };
}

const nodeOf = remembering((name: string): (VirtualNodeName & { readonly name: string }) | undefined => {
  const parsed = parseVirtualNodeName(name);
  return parsed && { ...parsed, name };
});

const vifOf = remembering((name: string): CheckedVifName | undefined => {
  const parsed = parseVifName(name);
  return parsed && { name, node: formatVirtualNodeName(parsed), device: parsed.vif };
});

export function checkNodeName(
  value: string | null | undefined,
  field: string,
): VirtualNodeName & { readonly name: string } {
  const name = nodeOf(text(value));
  if (name) return name;
  throw invalid('NODE_NAME', field, `${quote(text(value))}: ${NAME_RULES.virtualNode}`);
}

export interface CheckedVifName {
  readonly name: string;
  readonly node: string;
  readonly device: string;
}

export function checkVifName(value: string | null | undefined, field: string): CheckedVifName {
  const name = vifOf(text(value));
  if (name) return name;
  throw invalid('VIF_NAME', field, `${quote(text(value))}: ${NAME_RULES.vif}`);
}

export function checkTunnelName(value: string | null | undefined, field: string): string {
  if (parseTunnelName(text(value)) !== undefined) return text(value);
  throw invalid('TUNNEL_NAME', field, `${quote(text(value))}: ${NAME_RULES.tunnel}`);
}

export function checkWireName(value: string | null | undefined, field: string): string {
  if (parseWireName(text(value)) !== undefined) return text(value);
  throw invalid('WIRE_NAME', field, `${quote(text(value))}: ${NAME_RULES.wire}`);
}

export function checkBfdPeerName(value: string | null | undefined, field: string): string {
  if (parseBfdPeerName(text(value)) !== undefined) return text(value);
  throw invalid('BFD_PEER_NAME', field, `${quote(text(value))}: ${NAME_RULES.bfdPeer}`);
}

/** IEEE 802.1Q: 4095 is reserved. */
const LAST_VLAN = 4094;

export function checkVlan(value: number | null | undefined, field: string): number {
  const vlan = value ?? 0;
  if (Number.isInteger(vlan) && vlan >= 0 && vlan <= LAST_VLAN) return vlan;
  throw invalid('VLAN_RANGE', field, `${vlan}: 1 to ${LAST_VLAN} (IEEE 802.1Q), or 0 for untagged`);
}

export function checkInterface(value: string | null | undefined, field: string): string {
  if (INTERFACE.test(text(value))) return text(value);
  throw invalid('INTERFACE_NAME', field, `${quote(text(value))} is no interface's name: 1 to 15 characters`);
}

export function checkLabelValue(value: number | null | undefined, field: string): number {
  const label = value ?? 0;
  if (Number.isInteger(label) && label >= FIRST_LABEL && label <= LAST_LABEL) return label;
  throw invalid('LABEL_RANGE', field, `${label}: a label is ${FIRST_LABEL} to ${LAST_LABEL} (RFC 3032)`);
}

export interface BelowMessage {
  readonly tunnel?: string | null | undefined;
  readonly wire?: string | null | undefined;
  readonly vif?: string | null | undefined;
}

/** The one of the names that is set: whatever oneof the message has. */
export function checkBelow({ tunnel, wire, vif }: BelowMessage, field: string): Below {
  const given = [tunnel, wire, vif].filter((name) => text(name) !== '');
  if (given.length > 1) throw invalid('BELOW_AMBIGUOUS', field, 'a tunnel, a wire or a vif, and only one');
  if (text(tunnel)) return { kind: 'tunnel', name: checkTunnelName(tunnel, `${field}.tunnel`) };
  if (text(wire)) return { kind: 'wire', name: checkWireName(wire, `${field}.wire`) };
  if (text(vif)) return { kind: 'vif', name: checkVifName(vif, `${field}.vif`).name };
  throw invalid('BELOW_MISSING', field, 'names neither a tunnel nor a wire nor a vif');
}
