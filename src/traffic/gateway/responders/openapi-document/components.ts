import { isDeepStrictEqual } from 'node:util'
import { isObject, type JsonObject, type OpenApiDocument } from '../../filters/openapi/document.js'
import { modernised } from '../../filters/openapi/schemas.js'
import { parsePointer } from '../../filters/openapi/source.js'

/** Keywords whose values are data. */
const VALUES = new Set(['example', 'examples', 'default', 'enum', 'const'])

/** Where references into `components` lead. */
const COMPONENT = /^#\/components\/([^/]+)\/([^/]+)$/

/**
 * The components of several documents as those of one: only what is referred to, under its own name, or under another
 * if a different one of that name is there already.
 */
export class Components {
  readonly sections: Record<string, Record<string, unknown>> = {}
  readonly #taken = new Map<OpenApiDocument, Map<string, string>>()

  /**
   * A copy of a part of a document that refers to components here.
   *
   * @param owner - put before names that are taken
   */
  adopt(value: unknown, document: OpenApiDocument, owner: string, key = ''): unknown {
    if (Array.isArray(value)) return value.map((each) => this.adopt(each, document, owner))
    if (!isObject(value)) return value
    const copy: Record<string, unknown> = {}
    for (const [name, each] of Object.entries(value)) {
      // Under `properties` every name is that of a property. Elsewhere values hold anything, and mean nothing by it.
      if (key === 'properties') copy[name] = this.adopt(each, document, owner)
      else if (VALUES.has(name)) copy[name] = each
      else if (name === '$ref' && typeof each === 'string') copy[name] = this.#refer(each, document, owner)
      else if (name === 'mapping' && key === 'discriminator')
        copy[name] = this.#adoptMapping(each, document, owner)
      else copy[name] = this.adopt(each, document, owner, name)
    }
    const isSchema =
      'nullable' in copy ||
      typeof copy['exclusiveMinimum'] === 'boolean' ||
      typeof copy['exclusiveMaximum'] === 'boolean'
    return document.isOld && isSchema ? modernised(copy) : copy
  }

  /** The name of a component here; adopts it on first sight. */
  take(section: string, name: string, document: OpenApiDocument, owner: string): string {
    const known = this.#taken.get(document) ?? new Map<string, string>()
    this.#taken.set(document, known)
    const key = `${section}/${name}`
    const before = known.get(key)
    if (before !== undefined) return before
    const value = document.at(['components', section, name])
    const target = (this.sections[section] ??= {})
    const chosen = this.#nameFor(name, owner, target, value)
    known.set(key, chosen)
    // Before its parts, which may refer to it.
    if (!Object.hasOwn(target, chosen)) {
      target[chosen] = {}
      target[chosen] = this.adopt(value, document, owner)
    }
    return chosen
  }

  #refer(reference: string, document: OpenApiDocument, owner: string): string {
    const [, section, encoded] = COMPONENT.exec(reference) ?? []
    const name = encoded === undefined ? undefined : parsePointer(`#/${encoded}`)?.[0]
    if (section === undefined || name === undefined) return reference
    return `#/components/${section}/${this.take(section, name, document, owner)}`
  }

  #adoptMapping(mapping: unknown, document: OpenApiDocument, owner: string): unknown {
    if (!isObject(mapping)) return mapping
    return Object.fromEntries(
      Object.entries(mapping).map(([value, target]) => {
        if (typeof target !== 'string') return [value, target]
        const reference = target.startsWith('#') ? target : `#/components/schemas/${target}`
        return [value, this.#refer(reference, document, owner)]
      }),
    )
  }

  #nameFor(name: string, owner: string, taken: JsonObject, value: unknown): string {
    // What refers to nothing means the same wherever it stands.
    if (!Object.hasOwn(taken, name)) return name
    if (!JSON.stringify(value).includes('"$ref"') && isDeepStrictEqual(taken[name], value)) return name
    let candidate = `${owner}_${name}`
    for (let number = 2; Object.hasOwn(taken, candidate); number++) candidate = `${owner}_${name}_${number}`
    return candidate
  }
}
