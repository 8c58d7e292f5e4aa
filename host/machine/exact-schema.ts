import type { z } from 'zod';

/**
 * A schema of exactly that type. By itself a schema may know less than its type says, and then refuses what the product
 * writes; here the compiler names the member that it lacks.
 */
export function exactly<Type>() {
  return <Schema extends z.ZodType<Type>>(
    schema: Schema &
      ([Type] extends [z.output<Schema>] ? unknown : { lacks: Exclude<Type, z.output<Schema>> }),
  ): z.ZodType<Type> => schema;
}
