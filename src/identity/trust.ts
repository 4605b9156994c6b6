/**
 * Who is believed: the authorities of one deployment, and what they have revoked. A certificate is checked as a whole
 * each time, for TLS looks at it once, while connections live long: its signature, its times, its name, its revocation.
 */
import { X509Certificate } from 'node:crypto';

import { IdentityError } from './errors.js';
import { pemBlocks, plainSerial, readCertificates } from './pem.js';
import { deploymentId, isDeployment, parseId, type Principal } from './principal.js';

/** Certificates looked at lately; more peers than this are checked anew each time. */
const REMEMBERED = 1000;

interface Checked {
  readonly principal: Principal;
  readonly certificate: X509Certificate;
  readonly authority: X509Certificate;
}

// Node writes a name that could be taken for two in quotes, so plain text without a comma is one.
const ONE_URI = /^URI:(spiffe:\/\/[A-Za-z0-9._/-]+)$/;

function refused(code: 'UNTRUSTED' | 'NO_IDENTITY', message: string): IdentityError {
  return new IdentityError(code, message, { operation: 'verify' });
}

/** The one SPIFFE ID of a leaf (X509-SVID §2), whoever signed it. @throws IdentityError NO_IDENTITY */
export function principalOf(certificate: X509Certificate): Principal {
  const names = certificate.subjectAltName ?? '';
  const principal = parseId(ONE_URI.exec(names)?.[1] ?? '');
  if (principal && !certificate.ca) return principal;
  const said = names === '' ? 'nothing' : JSON.stringify(names.slice(0, 200));
  throw refused(
    'NO_IDENTITY',
    `A certificate names ${certificate.ca ? 'an authority' : said} where one SPIFFE ID of a role is due.`,
  );
}

/** In what deployment an authority is one. @throws IdentityError CORRUPT */
export function deploymentOf(authority: X509Certificate, path: string): string {
  const deployment = /^URI:spiffe:\/\/([a-z0-9.-]+)$/.exec(authority.subjectAltName ?? '')?.[1] ?? '';
  const sound = authority.ca && isDeployment(deployment) && authority.verify(authority.publicKey);
  if (sound) return deployment;
  throw new IdentityError('CORRUPT', `${path} holds a certificate that is no authority of a deployment.`, {
    operation: 'read',
    field: path,
  });
}

/** Milliseconds since 1970. */
export function timesOf(certificate: X509Certificate): { readonly from: number; readonly to: number } {
  return { from: Date.parse(certificate.validFrom), to: Date.parse(certificate.validTo) };
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
}

/** Not NaN either way: what has no readable time is not valid. */
function checkTimes(certificate: X509Certificate, whose: string, now: number): void {
  const { from, to } = timesOf(certificate);
  const facts = { operation: 'verify' } as const;
  if (!(now <= to)) {
    throw new IdentityError('EXPIRED', `${whose} has expired on ${day(to)} UTC; issue a new one.`, facts);
  }
  if (!(now >= from)) {
    const message = `${whose} is valid only from ${day(from)} UTC on; look at this machine's clock.`;
    throw new IdentityError('NOT_YET_VALID', message, facts);
  }
}

export class Trust {
  readonly deployment: string;
  readonly #authorities: readonly X509Certificate[];
  /** By fingerprint of the authority. */
  readonly #revoked: ReadonlyMap<string, ReadonlySet<string>>;
  readonly #checked = new Map<string, Checked>();

  private constructor(
    deployment: string,
    authorities: readonly X509Certificate[],
    revoked: ReadonlyMap<string, ReadonlySet<string>>,
  ) {
    this.deployment = deployment;
    this.#authorities = authorities;
    this.#revoked = revoked;
  }

  /**
   * From the texts of `authorities.pem` and `revoked.pem`; lists of authorities that are not trusted say nothing.
   * @throws IdentityError CORRUPT, with the path given for it
   */
  static async read(
    authorities: { readonly text: string; readonly path: string },
    revoked: { readonly text: string; readonly path: string } | undefined,
  ): Promise<Trust> {
    const found = readCertificates(authorities.text, authorities.path);
    const deployments = new Set(found.map((one) => deploymentOf(one, authorities.path)));
    const [deployment = ''] = deployments;
    if (deployments.size !== 1) {
      throw new IdentityError('CORRUPT', `${authorities.path} holds authorities of several deployments.`, {
        operation: 'read',
        field: authorities.path,
      });
    }
    const serials = new Map<string, Set<string>>();
    if (revoked) {
      const { readRevokedList } = await import('./x509.js');
      for (const block of pemBlocks(revoked.text, 'X509 CRL', revoked.path)) {
        const list = await readRevokedList(block, found.map(String)).catch((cause: unknown) => {
          throw new IdentityError('CORRUPT', `${revoked.path} is damaged; copy it again.`, {
            operation: 'read',
            field: revoked.path,
            cause,
          });
        });
        if (list.kind === 'forged') {
          throw new IdentityError(
            'CORRUPT',
            `${revoked.path} is not signed by the authority that it names.`,
            {
              operation: 'read',
              field: revoked.path,
            },
          );
        }
        if (list.kind === 'stranger') continue;
        const of = found[list.authority]?.fingerprint256 ?? '';
        const known = serials.get(of) ?? new Set();
        for (const serial of list.serials) known.add(plainSerial(serial));
        serials.set(of, known);
      }
    }
    return new Trust(deployment, found, serials);
  }

  /** PEM, for TLS. */
  get authorities(): readonly string[] {
    return this.#authorities.map(String);
  }

  #check(certificate: X509Certificate): Checked {
    const { fingerprint256 } = certificate;
    const known = this.#checked.get(fingerprint256);
    if (known) return known;
    const authority = this.#authorities.find(
      (one) => certificate.checkIssued(one) && certificate.verify(one.publicKey),
    );
    if (!authority)
      throw refused('UNTRUSTED', 'A certificate is issued by no authority that is trusted here.');
    const checked = { principal: principalOf(certificate), certificate, authority };
    if (this.#checked.size >= REMEMBERED) this.#checked.clear();
    this.#checked.set(fingerprint256, checked);
    return checked;
  }

  /**
   * Who this certificate (DER) is, now.
   * @throws IdentityError UNTRUSTED, NO_IDENTITY, FOREIGN, EXPIRED, NOT_YET_VALID, REVOKED
   */
  verify(der: Buffer, now: number = Date.now()): Principal {
    let certificate: X509Certificate;
    try {
      certificate = new X509Certificate(der);
    } catch (cause) {
      throw new IdentityError('UNTRUSTED', 'What was shown is no certificate.', {
        operation: 'verify',
        cause,
      });
    }
    const { principal, authority } = this.#check(certificate);
    if (principal.deployment !== this.deployment) {
      const message = `${deploymentId(principal.deployment)} is another deployment than ${this.deployment}.`;
      throw new IdentityError('FOREIGN', message, { operation: 'verify' });
    }
    checkTimes(authority, 'The authority of a certificate', now);
    checkTimes(certificate, `The certificate of ${principal.role}/${principal.name}`, now);
    if (this.#revoked.get(authority.fingerprint256)?.has(plainSerial(certificate.serialNumber))) {
      const message = `The certificate ${plainSerial(certificate.serialNumber)} of ${principal.role}/${principal.name} has been revoked.`;
      throw new IdentityError('REVOKED', message, { operation: 'verify' });
    }
    return principal;
  }
}
