/** `cabernet ca`: the certificate authority of a deployment. */
import { Authority, type AuthorityStatus, type Issued } from '../identity/authority.js';
import { formatId, namedBy } from '../identity/principal.js';
import type { CaFlags, CaInitFlags, CaIssueFlags, CaShowFlags } from './flags.js';
import { type Column, formatRows, formatTable, formatYaml, type Row } from './output.js';

const day = (time: string): string => time.slice(0, 10);

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** What has to be carried to every machine after each change of it. */
function sayCarry(authority: Authority, why: string): void {
  say(
    `${why}: copy authorities.pem and revoked.pem from ${authority.directory} into every directory of credentials`,
  );
}

export async function caInitCommand(flags: CaInitFlags): Promise<void> {
  const authority = await Authority.init(flags.directory, flags.deployment, flags.days);
  const { issuing } = authority.status();
  say(
    `the authority of ${authority.deployment} is in ${authority.directory}, until ${day(issuing.notAfter)}`,
  );
  say('  whoever has this directory can be anybody: keep it off the machines, and have a backup');
}

export async function caIssueCommand(name: string, flags: CaIssueFlags): Promise<void> {
  const authority = await Authority.open(flags.directory);
  const principal = namedBy(name, authority.deployment, 'name');
  const issued = await authority.issue(principal, flags.out, { days: flags.days });
  say(
    `${formatId(principal)} is in ${flags.out}, until ${day(issued.notAfter)}; serial number ${issued.serial}`,
  );
}

export async function caRevokeCommand(which: string, flags: CaFlags): Promise<void> {
  const authority = await Authority.open(flags.directory);
  for (const one of await authority.revoke(which))
    say(`revoked: ${one.principal}, serial number ${one.serial}`);
  sayCarry(authority, 'it counts where the list is');
}

const COLUMNS: readonly Column[] = [
  { key: 'name', title: 'NAME' },
  { key: 'serial', title: 'SERIAL' },
  { key: 'authority', title: 'AUTHORITY' },
  { key: 'from', title: 'FROM' },
  { key: 'until', title: 'UNTIL' },
  { key: 'state', title: 'STATE' },
];

function stateOf(one: Issued, { roots }: AuthorityStatus): string {
  if (one.revoked !== undefined) return 'revoked';
  if (Date.parse(one.notAfter) < Date.now()) return 'expired';
  return roots.some(({ id }) => id === one.root) ? 'valid' : 'not trusted';
}

export async function caListCommand(flags: CaShowFlags): Promise<void> {
  const authority = await Authority.open(flags.directory);
  const status = authority.status();
  const rows = authority.list().map((one): Row => {
    const { principal: name, serial, root, notBefore, notAfter } = one;
    return { name, serial, authority: root, from: notBefore, until: notAfter, state: stateOf(one, status) };
  });
  say(await formatRows(flags.output, COLUMNS, rows));
}

/** What comes next, by the step that a rotation is at. */
const NEXT = {
  none: 'none; `cabernet ca rotate begin` begins one',
  begun:
    'begun: two are trusted, the old one issues; next, with authorities.pem on all machines: `rotate switch`',
  switched:
    'switched: two are trusted, the new one issues; next, with all certificates renewed: `rotate finish`',
} as const;

async function printStatus(status: AuthorityStatus, format: string): Promise<void> {
  const { directory, deployment, rotation, issuing, valid, revoked, behind } = status;
  const authorities = status.roots.map(({ id, notAfter }) => ({
    id,
    until: notAfter,
    issues: id === issuing.id,
  }));
  if (format !== 'table') {
    const value = { directory, deployment, rotation, authorities, valid, revoked, behind };
    say(format === 'json' ? JSON.stringify(value, undefined, 2) : await formatYaml(value));
    return;
  }
  say(`deployment    ${deployment}`);
  say(`rotation      ${NEXT[rotation]}`);
  say(`certificates  ${valid} valid, ${revoked} revoked`);
  if (rotation !== 'none' && behind.length > 0) say(`to renew      ${behind.join(' ')}`);
  const columns = [
    { key: 'id', title: 'AUTHORITY' },
    { key: 'until', title: 'UNTIL' },
    { key: 'issues', title: 'ISSUES' },
  ];
  say(formatTable(columns, authorities));
}

export async function caStatusCommand(flags: CaShowFlags): Promise<void> {
  await printStatus((await Authority.open(flags.directory)).status(), flags.output);
}

export async function caRotateCommand(
  step: 'begin' | 'switch' | 'finish',
  flags: CaShowFlags & { readonly anyway?: true; readonly days?: number },
): Promise<void> {
  const authority = await Authority.open(flags.directory);
  let status: AuthorityStatus;
  if (step === 'begin') status = await authority.beginRotation(flags.days);
  else if (step === 'switch') status = await authority.switchRotation();
  else status = await authority.finishRotation(flags.anyway);
  await printStatus(status, flags.output);
  if (flags.output === 'table' && step !== 'switch') sayCarry(authority, 'now');
}
