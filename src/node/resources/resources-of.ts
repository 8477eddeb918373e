import type { ResourceDraft } from '../../coordination/resources/object.js'
import { entryKinds, GROUP, type EntryKind } from './kinds.js'
import { NAME_ANNOTATION, resourceNameOf } from './names.js'
import type { Path } from '../config/problem.js'

/** Where a route stands among others: which of two that fit equally well takes a request. */
export const ORDER_ANNOTATION = `${GROUP}/order`

/** An entry of a configuration as a resource. */
export interface Entry {
  readonly kind: EntryKind
  /** Where it stands in the configuration; empty for the node itself. */
  readonly path: Path
  readonly draft: ResourceDraft<Record<string, unknown>> & { readonly metadata: { readonly name: string } }
}

/** Whose resources they are. */
export interface Whose {
  /** Nodes with the same namespace run the same entries. */
  readonly namespace: string
  /** The name of the node, of which each has settings of its own. */
  readonly node: string
}

/**
 * The entries of a configuration as resources.
 *
 * @param config - as it is written: with `${NAME}`, and without what it stands for
 */
export function resourcesOf(config: Readonly<Record<string, unknown>>, { namespace, node }: Whose): Entry[] {
  const own: Record<string, unknown> = {}
  const entries: Entry[] = []
  const bySection = new Map(entryKinds().map((kind) => [kind.section, kind]))
  for (const [section, value] of Object.entries(config)) {
    const kind = bySection.get(section)
    if (section === '$schema' || value === undefined) continue
    if (!kind) own[section] = value
    else
      Object.entries(value as object).forEach(([name, spec]: [string, unknown], index) => {
        const annotations = {
          ...(resourceNameOf(name) !== name && { [NAME_ANNOTATION]: name }),
          ...(section === 'routes' && { [ORDER_ANNOTATION]: String(index + 1) }),
        }
        entries.push(entryOf(kind, [section, name], { namespace, name, annotations }, spec))
      })
  }
  const self = bySection.get(undefined)!
  return [...entries, entryOf(self, [], { namespace, name: node, annotations: {} }, own)]
}

function entryOf(
  kind: EntryKind,
  path: Path,
  { namespace, name, annotations }: { namespace: string; name: string; annotations: Record<string, string> },
  spec: unknown,
): Entry {
  const { apiVersion, kind: kindName } = kind.definition
  return {
    kind,
    path,
    draft: {
      apiVersion,
      kind: kindName,
      metadata: {
        name: resourceNameOf(name),
        namespace,
        ...(Object.keys(annotations).length > 0 && { annotations }),
      },
      spec: spec as Record<string, unknown>,
    },
  }
}
