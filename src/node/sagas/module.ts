import { BanyanError } from '../../core/errors.js'
import { suggest } from '../../core/suggest.js'
import { saga, type AnySaga } from '../../events/saga/definition.js'
import { isPolicy, policy, type AnyPolicy } from '../../events/saga/policies/policy.js'
import type { SagaSpec } from '../spec.js'
import { loadModule, referenceOf, wrongModule, type UserModule } from '../user-module.js'

/** What a module can export. */
export type AnyDefinition = AnySaga | AnyPolicy

/**
 * Loads all versions of a saga that a module exports, or a policy, or the one that is named; the same objects as before as long as the
 * module is the same.
 *
 * @param reference - a path, with the name of an export behind a `#` if only that one is meant
 * @param name - what the saga must be called
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` that says what is wrong with the module
 */
export async function loadSagas(reference: string, name: string): Promise<readonly AnyDefinition[]> {
  const wanted = referenceOf(reference)
  const { path, exportName } = wanted
  const { exported } = await loadModule(wanted)
  const found =
    exportName === undefined ? allOf(exported, name, path) : [exportOf(exported, exportName, path)]
  for (const each of found) check(each, name, reference)
  return found as AnyDefinition[]
}

/**
 * Everything that the modules of a saga export of it.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS`
 */
export async function definitionsOf(name: string, { module }: SagaSpec): Promise<readonly AnyDefinition[]> {
  const definitions: AnyDefinition[] = []
  for (const reference of [module].flat())
    try {
      definitions.push(...(await loadSagas(reference, name)))
    } catch (error) {
      if (!(error instanceof BanyanError)) throw error
      const code = error.code as `BANYAN_${string}`
      throw new BanyanError(code, `sagas.${name}: ${error.message}`, { cause: error })
    }
  return definitions
}

/** Which form of its code it is; a policy has only one. */
export function versionOf(definition: AnyDefinition): number {
  return isPolicy(definition) ? 1 : (definition.version ?? 1)
}

/** An export may have two names. */
function allOf(exported: UserModule['exported'], name: string, path: string): unknown[] {
  const likely = [...new Set(Object.values(exported).filter(isLikely))]
  const found = likely.filter((each) => each.name === name)
  if (found.length > 0) return found
  const others = [...new Set(likely.map((each) => each.name))]
  throw wrongModule(
    others.length === 0
      ? `${path} exports no saga and no policy: export what \`saga({ ... })\` or \`policy({ ... })\` of banyan/events returns`
      : `${path} exports no saga or policy of the name \`${name}\`, but ${others.join(', ')}`,
  )
}

function exportOf(exported: UserModule['exported'], name: string, path: string): unknown {
  if (name in exported) return exported[name]
  const near = suggest(name, Object.keys(exported))
  throw wrongModule(
    `${path} exports no ${name}${near === undefined ? '' : `, did you mean \`${path}#${near}\`?`}`,
  )
}

function isLikely(value: unknown): value is AnyDefinition {
  return (
    typeof value === 'object' &&
    value !== null &&
    'name' in value &&
    typeof value.name === 'string' &&
    'run' in value &&
    typeof value.run === 'function'
  )
}

/** The module may have the `saga` or `policy` of another copy of the package: so it is the definition that counts. */
function check(found: unknown, name: string, reference: string): void {
  if (!isLikely(found))
    throw wrongModule(
      `${reference} is no saga and no policy: export what \`saga({ ... })\` or \`policy({ ... })\` of banyan/events returns`,
    )
  try {
    if (isPolicy(found)) policy(found)
    else saga(found)
  } catch (error) {
    throw wrongModule(`${reference}: ${(error as Error).message}`, error)
  }
  if (found.name !== name)
    throw wrongModule(
      `${reference} is the ${isPolicy(found) ? 'policy' : 'saga'} \`${found.name}\`, not \`${name}\`; give it the name that it has`,
    )
}
