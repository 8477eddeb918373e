import type { Forwarding, Identity } from '../../forwarding.js'
import { claimAt, type Claims } from './claims.js'
import type { Rule } from './rule.js'
import type { AllowSpec } from './spec.js'

/** Why somebody may not pass; `undefined` if they may. */
export type Denial = { readonly scopes: readonly string[] | undefined; readonly reason: string } | undefined

/** Says who may pass. What goes wrong while a rule is evaluated is a no. */
export class Authorization {
  readonly #scopes: readonly string[]
  readonly #claims: readonly (readonly [path: string, values: readonly unknown[]])[]
  readonly #subjects: readonly RegExp[] | undefined
  readonly #rule: Rule | undefined

  constructor(spec: AllowSpec, rule: Rule | undefined) {
    this.#scopes = spec.scopes ?? []
    this.#claims = Object.entries(spec.claims ?? {}).map(([path, value]) => [path, [value].flat()])
    this.#subjects = spec.subjects?.map(globOf)
    this.#rule = rule
  }

  /** Whether somebody who is not known can ever pass. */
  get needsIdentity(): boolean {
    return this.#scopes.length > 0 || this.#claims.length > 0 || this.#subjects !== undefined
  }

  judge(forwarding: Forwarding, identity: Identity | undefined): Denial {
    if (identity) {
      const denial = this.#judgeIdentity(identity)
      if (denial) return denial
    }
    if (!this.#rule) return undefined
    try {
      return this.#rule.allows(forwarding, identity) ? undefined : denied('the rule does not allow it')
    } catch (error) {
      return denied(`the rule cannot be evaluated: ${(error as Error).message.split('\n')[0]!}`)
    }
  }

  #judgeIdentity({ scopes, subject, claims }: Identity): Denial {
    const missing = this.#scopes.find((scope) => !scopes.includes(scope))
    if (missing !== undefined) return { scopes: this.#scopes, reason: `the scope ${missing} is missing` }
    const wrong = this.#claims.find(([path, values]) => !holds(claims, path, values))
    if (wrong) return denied(`the claim ${wrong[0]} is another`)
    if (this.#subjects && !this.#subjects.some((glob) => glob.test(subject)))
      return denied('the subject is another')
    return undefined
  }
}

function denied(reason: string): Denial {
  return { scopes: undefined, reason }
}

function holds(claims: Claims, path: string, values: readonly unknown[]): boolean {
  const given = claimAt(claims, path)
  return Array.isArray(given) ? given.some((each) => values.includes(each)) : values.includes(given)
}

function globOf(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replace(/[\\^$.+?()[\]{}|/]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 'su')
}
