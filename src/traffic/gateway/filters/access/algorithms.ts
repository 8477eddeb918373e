/** Signatures by a key pair: whoever can verify cannot sign. */
export const PUBLIC_ALGORITHMS = [
  'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519',
] as const // prettier-ignore

/** Signatures by a secret: whoever can verify can sign. */
export const SECRET_ALGORITHMS = ['HS256', 'HS384', 'HS512'] as const

export type Algorithm = (typeof PUBLIC_ALGORITHMS)[number] | (typeof SECRET_ALGORITHMS)[number]
