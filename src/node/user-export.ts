import { suggest } from '../core/suggest.js'
import { wrongModule, type ModuleReference, type UserModule } from './user-module.js'

/** What is looked for in a module. */
export interface WantedExport<Value> {
  /** `projection`. */
  readonly what: string
  /** What is to be exported, if there is none. */
  readonly how: string
  /** The module may have it of another copy of the package: so it is its form that counts. */
  readonly isLikely: (value: unknown) => value is Value
}

/**
 * What a reference means: the export of its name, else the default one, else the only one that can be meant.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` that says what the module has
 */
export function exportOf<Value>(
  { exported }: UserModule,
  { path, exportName }: ModuleReference,
  { what, how, isLikely }: WantedExport<Value>,
): Value {
  if (exportName !== undefined) {
    const found = exported[exportName]
    if (isLikely(found)) return found
    if (exportName in exported) throw wrongModule(`${path}#${exportName} is no ${what}: export ${how}`)
    const near = suggest(exportName, Object.keys(exported))
    throw wrongModule(
      `${path} exports no ${exportName}${near === undefined ? '' : `, did you mean \`${path}#${near}\`?`}`,
    )
  }
  if (isLikely(exported['default'])) return exported['default']
  const [first, ...others] = Object.entries(exported).filter(([, value]) => isLikely(value))
  if (!first) throw wrongModule(`${path} exports no ${what}: export ${how}`)
  if (others.length === 0) return first[1] as Value
  const names = [first, ...others].map(([name]) => name)
  throw wrongModule(`${path} exports ${names.join(', ')}; say which, as ${path}#${first[0]}`)
}
