import { BanyanError } from '../../../../core/errors.js'

/** The same error, which says of which database it is. */
export function ofDatabase(shard: string, error: unknown): unknown {
  if (!(error instanceof BanyanError) || error.message.includes(`the shard ${JSON.stringify(shard)}`))
    return error
  return new BanyanError(error.code as `BANYAN_${string}`, `the database ${shard}: ${error.message}`, {
    cause: error,
  })
}
