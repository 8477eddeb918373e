import { jsonSchema } from '../node/config/json-schema.js'

/** `banyan schema`. */
export function schema(): void {
  console.log(JSON.stringify(jsonSchema(), undefined, 2))
}
