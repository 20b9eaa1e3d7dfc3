{{- define "braintumor.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "braintumor.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "braintumor.labels" -}}
{{ include "braintumor.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "braintumor.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "braintumor.claim" -}}
{{ .Values.storage.existingClaim | default (printf "%s-spool" (include "braintumor.name" .)) }}
{{- end }}

{{- /* What every pod of the chart has, whatever runs in it. */ -}}
{{- define "braintumor.pod" -}}
serviceAccountName: {{ include "braintumor.name" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "braintumor.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- define "braintumor.secrets" -}}
- name: PGPASSWORD
  valueFrom: {secretKeyRef: {name: {{ .Values.secret.name }}, key: {{ .Values.secret.databasePasswordKey }}}}
- name: CELERY_BROKER_URL
  valueFrom: {secretKeyRef: {name: {{ .Values.secret.name }}, key: {{ .Values.secret.brokerUrlKey }}}}
{{- end }}

{{- define "braintumor.mounts" -}}
- {name: spool, mountPath: /var/lib/braintumor}
- {name: settings, mountPath: /etc/braintumor, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "braintumor.volumes" -}}
- name: spool
  persistentVolumeClaim: {claimName: {{ include "braintumor.claim" . }}}
- name: settings
  configMap: {name: {{ include "braintumor.name" . }}}
- name: tmp
  emptyDir: {sizeLimit: 8Gi}
{{- end }}
