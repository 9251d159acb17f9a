{{- /* The image of the controller: by its digest if there is one, otherwise by its tag. */}}
{{- define "sequentialjob.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* GOMEMLIMIT, in MiB: nine tenths of the limit, so that the garbage collector works harder before the kernel ends the process. */}}
{{- define "sequentialjob.memoryLimit" -}}
{{- $limit := dig "limits" "memory" "" (.Values.resources | default dict) | toString -}}
{{- if .Values.goMemoryLimit -}}
{{ .Values.goMemoryLimit }}
{{- else if regexMatch "^[0-9]+Mi$" $limit -}}
{{ div (mul 9 (trimSuffix "Mi" $limit | int64)) 10 }}MiB
{{- else if regexMatch "^[0-9]+Gi$" $limit -}}
{{ div (mul 9 1024 (trimSuffix "Gi" $limit | int64)) 10 }}MiB
{{- else if $limit -}}
{{ fail (printf "goMemoryLimit: set it to about nine tenths of resources.limits.memory, as in 460MiB; it is not computed from %q, only from whole Mi or Gi" $limit) }}
{{- end -}}
{{- end -}}
