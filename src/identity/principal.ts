/**
 * Who somebody is: a role and a name in one deployment, written as a SPIFFE ID (`spiffe://DEPLOYMENT/agent/acme/P`). There
 * is one right way of writing each; what is read may come from a stranger's certificate.
 */
import { IdentityError } from './errors.js';

/** Of those who have one name. */
export const NAMED_ROLES = ['infrastructure', 'connectivity', 'service', 'operator'] as const;
export const ROLES = [...NAMED_ROLES, 'agent'] as const;
export type Role = (typeof ROLES)[number];

interface Named {
  readonly deployment: string;
  readonly role: (typeof NAMED_ROLES)[number];
  /** Of the provider, or the person. */
  readonly name: string;
  readonly machine?: undefined;
}

interface OnMachine {
  readonly deployment: string;
  readonly role: 'agent';
  /** The infrastructure provider that owns the machine. */
  readonly name: string;
  readonly machine: string;
}

export type Principal = Named | OnMachine;

/** What is right, for error messages. */
export const IDENTITY_RULES = {
  deployment: '1 to 63 characters of a-z, 0-9, - and ., beginning and ending with a letter or digit',
  name: '1 to 63 characters of a-z, 0-9 and -, beginning with a letter',
  machine: '1 to 31 characters of A-Z, a-z, 0-9, _ and -',
  principal:
    'infrastructure/NAME, connectivity/NAME, service/NAME, operator/NAME or agent/PROVIDER/MACHINE, as in agent/acme/P',
} as const;

// A trust domain (SPIFFE-ID §2.1) without its underscores, so that it may be a DNS name.
const DEPLOYMENT = /^(?=.{1,63}$)[a-z0-9]+(?:[.-]+[a-z0-9]+)*$/;
const NAME = /^[a-z][a-z0-9-]{0,62}$/;
const MACHINE = /^[A-Za-z0-9_-]{1,31}$/;
const SCHEME = 'spiffe://';
/** SPIFFE-ID §2.3: the most that one has to read. */
const LONGEST_ID = 2048;

export function isDeployment(text: string): boolean {
  return DEPLOYMENT.test(text);
}

/** `agent/acme/P`, in this deployment; undefined for anything else. */
export function parsePath(deployment: string, path: string): Principal | undefined {
  if (!isDeployment(deployment) || path.length > LONGEST_ID) return undefined;
  const [role, name = '', machine, ...rest] = path.split('/', 4);
  if (rest.length > 0 || !NAME.test(name)) return undefined;
  if (role === 'agent') {
    return machine !== undefined && MACHINE.test(machine) ? { deployment, role, name, machine } : undefined;
  }
  const named = NAMED_ROLES.find((one) => one === role);
  return named === undefined || machine !== undefined ? undefined : { deployment, role: named, name };
}

/** Undefined for all but a SPIFFE ID that {@link formatId} writes: no escapes, ports, queries, empty or dotted segments. */
export function parseId(text: string): Principal | undefined {
  if (text.length > LONGEST_ID || !text.startsWith(SCHEME)) return undefined;
  const slash = text.indexOf('/', SCHEME.length);
  return slash < 0 ? undefined : parsePath(text.slice(SCHEME.length, slash), text.slice(slash + 1));
}

/** `agent/acme/P` */
export function formatPath(principal: Principal): string {
  const { role, name } = principal;
  return role === 'agent' ? `${role}/${name}/${principal.machine}` : `${role}/${name}`;
}

/** `spiffe://DEPLOYMENT/agent/acme/P` */
export function formatId(principal: Principal): string {
  return `${SCHEME}${principal.deployment}/${formatPath(principal)}`;
}

/** Of the deployment itself, which its authorities carry (X509-SVID §3.1). */
export function deploymentId(deployment: string): string {
  return `${SCHEME}${deployment}`;
}

export function samePrincipal(a: Principal, b: Principal): boolean {
  return formatId(a) === formatId(b);
}

/** A name as a person gives it: a whole SPIFFE ID of this deployment, or its path. Throws IdentityError NAME. */
export function namedBy(text: string, deployment: string, field: string): Principal {
  const found = text.startsWith(SCHEME) ? parseId(text) : parsePath(deployment, text);
  if (found?.deployment === deployment) return found;
  const what = found
    ? `is of another deployment, not ${deployment}`
    : `is none of ${IDENTITY_RULES.principal}`;
  throw new IdentityError('NAME', `${JSON.stringify(text.slice(0, 100))} ${what}.`, { field });
}
