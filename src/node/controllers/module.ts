import { BanyanError } from '../../core/errors.js'
import type { ControllerDefinition, ResourceDefinition } from '../../coordination/index.js'
import type { NodeSpec } from '../spec.js'
import { entryKinds } from '../resources/kinds.js'
import { exportOf } from '../user-export.js'
import { loadModule, referenceOf, wrongModule } from '../user-module.js'

/** What the modules of a configuration export. */
export interface Definitions {
  /** Those that are named, and those that controllers work with; each once. */
  readonly kinds: readonly ResourceDefinition[]
  /** By their names. */
  readonly controllers: ReadonlyMap<string, ControllerDefinition>
}

/**
 * Loads a kind from a module; the same object as before as long as the module is the same.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` that says what is wrong with the module
 */
export async function loadKind(reference: string): Promise<ResourceDefinition> {
  const wanted = referenceOf(reference)
  return exportOf(await loadModule(wanted), wanted, {
    what: 'kind',
    how: 'what `defineResource({ ... })` of banyan/coordination returns',
    isLikely: isKind,
  })
}

/**
 * Loads a controller from a module; the same object as before as long as the module is the same.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` that says what is wrong with the module
 */
export async function loadController(reference: string): Promise<ControllerDefinition> {
  const wanted = referenceOf(reference)
  const found = exportOf(await loadModule(wanted), wanted, {
    what: 'controller',
    how: 'what `defineController({ resource, reconcile, ... })` of banyan/coordination returns',
    isLikely: isController,
  })
  if (!isKind(found.resource))
    throw wrongModule(
      `${reference}: its resource is no kind: it is to be what \`defineResource({ ... })\` returns`,
    )
  return found
}

/**
 * Everything that the modules of a configuration export.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS`
 */
export async function definitionsOf({
  kinds = {},
  controllers = {},
  resources,
}: Pick<NodeSpec, 'kinds' | 'controllers' | 'resources'>): Promise<Definitions> {
  // Those of its own entries, too, if they are resources.
  const entries = resources ? entryKinds().map(({ definition }) => definition) : []
  const found = new Set<ResourceDefinition>(entries)
  for (const [name, { module }] of Object.entries(kinds))
    found.add(await placed(`kinds.${name}`, () => loadKind(module)))
  const running = new Map<string, ControllerDefinition>()
  for (const [name, { module }] of Object.entries(controllers)) {
    const definition = await placed(`controllers.${name}`, () => loadController(module))
    running.set(name, definition)
    for (const kind of kindsOf(definition)) found.add(kind)
  }
  return { kinds: [...found], controllers: running }
}

export function kindsOf({ resource, owns = [], watches = [] }: ControllerDefinition): ResourceDefinition[] {
  return [resource, ...owns, ...watches.map((each) => each.resource)]
}

async function placed<Value>(place: string, load: () => Promise<Value>): Promise<Value> {
  try {
    return await load()
  } catch (error) {
    if (!(error instanceof BanyanError)) throw error
    throw new BanyanError(error.code as `BANYAN_${string}`, `${place}: ${error.message}`, { cause: error })
  }
}

function isKind(value: unknown): value is ResourceDefinition {
  return (
    typeof value === 'object' &&
    value !== null &&
    'plural' in value &&
    'apiVersion' in value &&
    'schema' in value
  )
}

function isController(value: unknown): value is ControllerDefinition {
  return (
    typeof value === 'object' &&
    value !== null &&
    'resource' in value &&
    'reconcile' in value &&
    typeof value.reconcile === 'function'
  )
}
