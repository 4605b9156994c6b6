/**
 * What makes shells complete: each asks `cabernet __complete`, whose last word is the one being typed, and gets one
 * candidate a line. Where there is none, files are offered.
 */

const BASH = `# source <(cabernet completion bash)
_cabernet() {
  mapfile -t COMPREPLY < <("\${COMP_WORDS[0]}" __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _cabernet cabernet
`;

const ZSH = `#compdef cabernet
# source <(cabernet completion zsh)
_cabernet() {
  local -a found
  found=("\${(@f)$("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  found=("\${(@)found:#}")
  if (( \${#found} )); then
    compadd -a found
  else
    _files
  fi
}
if [[ \${funcstack[1]} == _cabernet ]]; then _cabernet "$@"; else compdef _cabernet cabernet; fi
`;

const FISH = `# cabernet completion fish | source
function __cabernet_complete
    set -l words (commandline --tokenize --cut-at-cursor --current-process)
    set -l typed (commandline --current-token --cut-at-cursor)
    set -l found ($words[1] __complete -- $words[2..] "$typed" 2>/dev/null)
    if set -q found[1]
        printf '%s\\n' $found
    else
        __fish_complete_path "$typed"
    end
end
complete --command cabernet --no-files --arguments '(__cabernet_complete)'
`;

export function completionScript(shell: string): string {
  return shell === 'bash' ? BASH : shell === 'zsh' ? ZSH : FISH;
}
