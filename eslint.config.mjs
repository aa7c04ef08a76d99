import * as effect from "@effect/eslint-plugin"
import tseslint from "typescript-eslint"

const format = {
  "@effect/dprint": ["error", {
    config: {
      indentWidth: 2,
      lineWidth: 120,
      operatorPosition: "maintain",
      semiColons: "asi",
      quoteStyle: "alwaysDouble",
      trailingCommas: "never",
      "arrowFunction.useParentheses": "force",
      "functionExpression.spaceAfterFunctionKeyword": false,
      "generator.spaceAfterStar": false
    }
  }]
}

export default tseslint.config(
  { ignores: ["dist/", "node_modules/", "coverage/"] },
  ...effect.configs.dprint,
  { files: ["**/*.{ts,mjs}"], rules: format },
  {
    files: ["src/**/*.ts", "test/**/*.ts", "bench/**/*.ts", "vitest.config.ts"],
    extends: [...tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
      "@typescript-eslint/no-non-null-assertion": "error",
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/no-floating-promises": "error",
      // Generators are how Effect is written; many of them do not yield.
      "require-yield": "off"
    }
  },
  {
    files: ["src/**/*.ts"],
    rules: {
      "no-console": "error",
      "no-restricted-syntax": ["error", {
        selector: "MemberExpression[object.name='Effect'][property.name=/^run(Promise|Sync|Fork|Callback)/]",
        message: "Fibers start in grpc/Bridge.ts and the two main.ts only."
      }]
    }
  },
  {
    files: ["test/**/*.ts"],
    rules: { "@typescript-eslint/no-non-null-assertion": "off" }
  }
)
